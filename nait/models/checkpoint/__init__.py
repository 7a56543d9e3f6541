"""The files of a checkpoint: which ones count, their hashes, and whether they are complete."""
