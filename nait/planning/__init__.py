"""Dry runs: predict what a job costs from short rehearsals."""
