"""Chat data: message lists, turns, reasoning and transcripts."""
