"""Counts of the cases that the tests of faults ran, for the summary at the end."""

from __future__ import annotations

import json
import os
from pathlib import Path

FILE = Path(os.environ.get("NAIT_FAULTS_COUNTS", "build/fault-counts.jsonl"))


def counted(what: str, number: int) -> None:
    """Add a count. Processes of pytest-xdist append to one file."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with FILE.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"what": what, "number": number}) + "\n")


def counts() -> dict[str, int]:
    """The sum by kind of case."""
    found: dict[str, int] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines() if FILE.is_file() else ():
        one = json.loads(line)
        found[one["what"]] = found.get(one["what"], 0) + one["number"]
    return found
