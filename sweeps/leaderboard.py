"""The leaderboard: every method held against random, an interval beside every number.

Written as `leaderboard.json` and `leaderboard.csv` (one row a run and task) and `leaderboard.md` (seeds averaged).
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nait.core.results import Row
from nait.store import Store, write_json, write_text

from .collect import collect, outcomes
from .lines import summarise
from .tables import differences, long, notes, wide


@dataclass(frozen=True)
class Leaderboard:
    """Writes the leaderboard's files. `headlines_only` prints what was asked for, not a group's subtasks."""

    headlines_only: bool = True

    def report(self, store: Store, runs: Sequence[str] | None, folder: Path) -> str:
        """The tables to print; the files hold every task."""
        rows = _worth_a_row(collect(store, runs))
        lines = summarise(rows, outcomes(store, rows))
        shown = [line for line in lines if line.headline] if self.headlines_only else lines
        write_json(folder / "leaderboard.json", [dataclasses.asdict(row) for row in rows])
        write_text(folder / "leaderboard.csv", as_csv(rows))
        parts = [wide(shown, form="github"), differences(shown, form="github"), long(lines, form="github")]
        said = "\n".join(f"- {note}" for note in notes(shown))
        write_text(
            folder / "leaderboard.md", "# Leaderboard\n\n" + "\n\n".join([*filter(None, parts), said]) + "\n"
        )
        tables = [wide(shown, form="simple"), differences(shown, form="simple"), "\n".join(notes(shown))]
        return "\n\n".join(filter(None, tables)) + f"\nLeaderboard: {folder / 'leaderboard.md'}"


def _worth_a_row(rows: list[Row]) -> list[Row]:
    """Without the runs that only selected, where others were evaluated: they have no cell in that table."""
    evaluated = [row for row in rows if row.task]
    return evaluated or rows


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; ground truth as columns of its own."""
    truth = sorted({name for row in rows for name in row.truth})
    checks = sorted({name for row in rows for name in row.checks})
    names = [field.name for field in dataclasses.fields(Row) if field.name not in ("truth", "checks")]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, *truth, *checks])
    for row in rows:
        said = [*(row.truth.get(name) for name in truth), *(row.checks.get(name) for name in checks)]
        writer.writerow([*(getattr(row, name) for name in names), *said])
    return stream.getvalue()
