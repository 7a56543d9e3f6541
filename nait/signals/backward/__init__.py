"""Backward passes: per-example gradients, reduced during the pass."""
