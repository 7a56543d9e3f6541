"""The names of the benchmarks that are made from a target's held-out rows."""

from __future__ import annotations

import re

HELD_OUT, CHOICES = "heldout_", "_choices"
"""The beginning of the name of such a task, and the end of that of a multiple-choice task."""
_UNUSUAL = re.compile(r"[^\w.-]")


def held_out_task(target: str) -> str:
    """The task of a target's held-out rows. Characters that a task's name does not have become `_`."""
    return f"{HELD_OUT}{_UNUSUAL.sub('_', target)}"
