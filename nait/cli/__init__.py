"""The command line: words and config in, jobs out."""
