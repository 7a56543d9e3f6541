"""Checks of a job's inputs and scores, each with its warnings or errors."""
