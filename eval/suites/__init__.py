"""Suites of tasks: their definitions, settings, sizes and requirements, read without lm_eval."""
