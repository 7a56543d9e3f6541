"""Requests of an evaluation: split among processes, and their answers kept on disk."""
