"""Runs grouped into tables and lines: run identities, names and headings."""
