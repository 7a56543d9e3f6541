"""Parsing of the command line: words and flags, config keys, the jobs of a sweep, and error messages."""
