"""Runs sorted into tables and lines: what makes two runs alike, and how they are named."""
