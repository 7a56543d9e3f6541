"""What to type for a folder that is not one of a run."""

from __future__ import annotations

import shlex
from pathlib import Path

DEPTHS = ("*/run.json", "*/*/run.json", "*/*/*/run.json")
"""Where the records of runs are, below a folder of days or of sweeps."""


def run_advice(folder: Path) -> str:
    """What to give instead of a folder without a record: the newest run below it, if there is one."""
    below = [path for depth in DEPTHS for path in folder.glob(depth)]
    if not below:
        return "Give the folder of a run."
    newest = max(below, key=lambda path: (path.stat().st_mtime, path)).parent
    return f"Give the folder of a run. The newest below it is {shlex.quote(str(newest))}."
