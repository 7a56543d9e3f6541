"""Device and memory management during a pass."""
