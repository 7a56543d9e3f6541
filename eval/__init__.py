"""Evaluation by lm-evaluation-harness."""
