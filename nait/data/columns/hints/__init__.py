"""Hints for rows that no layout fits, and guesses of a column mapping that may read them."""
