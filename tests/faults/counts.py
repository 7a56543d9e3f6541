"""Counts of the cases that the tests of faults ran, for the summary at the end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = Path(__file__).parents[2] / "build" / "fault-counts.jsonl"
COLUMNS = f"{'cases':>7}  {'seconds':>7}  what"


class Count:
    """The number of cases so far, and what went wrong in them."""

    def __init__(self) -> None:
        self.number = 0
        self.problems: list[str] = []


@contextmanager
def counting(what: str) -> Iterator[Count]:
    """Count cases within the block and record them at its end. Raises: AssertionError that lists all problems."""
    count, started = Count(), time.monotonic()
    try:
        yield count
    finally:
        line = {"what": what, "number": count.number, "seconds": time.monotonic() - started}
        FILE.parent.mkdir(parents=True, exist_ok=True)
        with FILE.open("a", encoding="utf-8") as stream:  # processes of pytest-xdist append to one file
            stream.write(json.dumps(line) + "\n")
    assert not count.problems, "\n\n".join(count.problems)


def summary() -> list[str]:
    """One line for each kind of case: the number of cases and the wall-clock seconds, summed over processes."""
    found: dict[str, tuple[int, float]] = {}
    for line in FILE.read_text(encoding="utf-8").splitlines() if FILE.is_file() else ():
        one = json.loads(line)
        number, seconds = found.get(one["what"], (0, 0.0))
        found[one["what"]] = number + one["number"], seconds + one["seconds"]
    return [f"{number:>7,}  {seconds:>7.0f}  {what}" for what, (number, seconds) in found.items()]
