"""The selection methods that NAIT is compared with."""
