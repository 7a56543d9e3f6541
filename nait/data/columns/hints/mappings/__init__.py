"""Guesses of a column mapping that may read a row: choices, tasks, conversations, question and answer."""
