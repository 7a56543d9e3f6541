"""Tables and pictures as text, Markdown, LaTeX and SVG."""
