"""Advice for words that a run does not accept: commands, options, keys of other tools."""
