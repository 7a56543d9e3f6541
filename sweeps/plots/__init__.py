"""Plots of a sweep: curves over a setting, quality against cost, forest plots."""
