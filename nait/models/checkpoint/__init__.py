"""Checkpoints: the files that are read, their hashes, and checks that weights are complete and finite."""
