"""Costs of jobs, measured and predicted: time, money and memory."""
