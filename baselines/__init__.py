"""The selectors NAIT is held against."""
