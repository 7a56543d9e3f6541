"""The config: composed by Hydra, resolved to plain values, and built into objects."""
