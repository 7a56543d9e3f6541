"""Hints for rows that no layout fits, and what a suggested mapping omits."""
