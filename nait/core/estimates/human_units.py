"""Times and counts as people read them: "26 min", "5,200 rows"."""

from __future__ import annotations


def human_seconds(seconds: float) -> str:
    """A duration in seconds, in human units: "0.4 s", "26 min", "3.2 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def counted(number: int, noun: str) -> str:
    """A number and its noun, which gets an "s" unless the number is 1: "5,200 rows", "1 row"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
