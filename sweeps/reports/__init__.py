"""The leaderboard and the report."""
