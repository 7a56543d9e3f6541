"""Conversations: messages, turns and transcripts."""
