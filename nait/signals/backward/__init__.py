"""Backward passes: one gradient for each row, reduced while it is computed."""
