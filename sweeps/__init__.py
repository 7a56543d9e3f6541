"""Leaderboards, statistics and reports over many runs."""
