"""Advice for words that are not what a run takes: commands, options, keys of other tools."""
