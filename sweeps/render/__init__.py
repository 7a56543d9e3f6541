"""Rendering of tables and figures as text, Markdown, LaTeX, HTML and SVG."""
