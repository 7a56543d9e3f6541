"""Paired statistics: contrasts, confidence intervals, p-values and means over seeds."""
