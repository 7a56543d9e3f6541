"""Passes over a pool: batches, chunks on disk, and work shared among processes."""
