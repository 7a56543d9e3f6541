"""Parsing of rows into examples: the options, and the pool that is built from a source."""
