"""What many runs say together: leaderboards and statistics."""
