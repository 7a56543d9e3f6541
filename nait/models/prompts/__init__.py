"""Prompt templates: render an example into text, and locate its answer."""
