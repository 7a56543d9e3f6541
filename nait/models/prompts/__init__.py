"""Prompt templates: how an example becomes one text, and where the answer is in it."""
