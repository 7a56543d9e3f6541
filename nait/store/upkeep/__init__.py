"""Upkeep of a store: what it holds, what may be removed, and whether it is whole."""
