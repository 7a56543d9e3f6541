"""NAIT: directions of a capability in activation space, and the scorer that uses them."""
