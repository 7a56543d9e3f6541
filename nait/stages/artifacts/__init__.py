"""Scores, selections and evaluations as files."""
