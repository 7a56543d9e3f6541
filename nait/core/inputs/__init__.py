"""Checks of user input: config values, keys and paths."""
