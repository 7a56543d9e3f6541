"""The rows that a user brings: examples, their tokens and traits, their duplicates and contamination."""
