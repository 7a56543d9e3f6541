"""Analyses of a sweep: transfer, overlap, composition, layers, costs, curves."""
