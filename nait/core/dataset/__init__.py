"""The user's rows: examples, their tokens and traits, duplicates and contamination."""
