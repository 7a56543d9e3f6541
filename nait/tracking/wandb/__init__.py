"""Weights & Biases: the tracker, its folders, saved views, and records pulled from a project."""
