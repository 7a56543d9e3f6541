"""Paired statistics of methods: contrasts, intervals, p-values, averages over seeds."""
