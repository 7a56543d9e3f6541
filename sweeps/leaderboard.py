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
from nait.store import write_json, write_text

from .collect import collect, outcomes
from .contrasts import CONTROL, Items
from .lines import Line, corrected, summarise
from .stores import Shelf
from .tables import differences, long, notes, wide

INNER = ("conditions", "members")
"""What serves the statistics alone."""
MAPPINGS = ("settings", "truth", "checks")


@dataclass(frozen=True)
class Leaderboard:
    """Writes the leaderboard's files. `headlines_only` prints what was asked for, not a group's subtasks.

    `control`: the row that the others are held against.
    """

    headlines_only: bool = True
    control: str = CONTROL

    def report(self, store: Shelf, runs: Sequence[str] | None, folder: Path) -> str:
        """The tables to print; the files hold every task."""
        rows, items = measured(store, runs)
        return self.write(rows, summarise(rows, items, control=self.control), folder)

    def write(self, rows: Sequence[Row], lines: Sequence[Line], folder: Path) -> str:
        """The same, of rows that were collected and summarised before."""
        shown, control = self.shown(lines), self.control
        write_json(folder / "leaderboard.json", [as_record(row) for row in rows])
        write_text(folder / "leaderboard.csv", as_csv(rows))
        said = "\n".join(f"- {note}" for note in notes(shown, control=control))
        parts = [
            "# Leaderboard",
            wide(shown, form="github"),
            differences(shown, form="github", control=control),
            long(corrected(lines), form="github", control=control),
            said,
        ]
        write_text(folder / "leaderboard.md", "\n\n".join(filter(None, parts)) + "\n")
        tables = [
            wide(shown, form="simple"),
            differences(shown, form="simple", control=control),
            "\n".join(notes(shown, control=control)),
        ]
        return "\n\n".join(filter(None, tables)) + f"\nLeaderboard: {folder / 'leaderboard.md'}"

    def shown(self, lines: Sequence[Line]) -> list[Line]:
        """The lines to print, corrected for their number."""
        return corrected([line for line in lines if line.headline or not self.headlines_only])


def measured(store: Shelf, runs: Sequence[str] | None) -> tuple[list[Row], Items]:
    """The rows worth a place in a table, and their items."""
    rows = _worth_a_row(collect(store, runs))
    return rows, outcomes(store, rows)


def as_record(row: Row) -> dict[str, object]:
    """A row as plain values, without what other columns say already."""
    return {name: value for name, value in dataclasses.asdict(row).items() if name not in INNER}


def _worth_a_row(rows: list[Row]) -> list[Row]:
    """Without the runs that only selected, where others were evaluated: they have no cell in that table."""
    evaluated = [row for row in rows if row.task]
    return evaluated or rows


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; differing settings, ground truth and checks as columns of their own."""
    settings = sorted({name for row in rows for name in row.settings})
    truth = sorted({name for row in rows for name in row.truth})
    checks = sorted({name for row in rows for name in row.checks})
    names = [field.name for field in dataclasses.fields(Row) if field.name not in (*INNER, *MAPPINGS)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([*names, *settings, *truth, *checks])
    for row in rows:
        said = [
            *(row.settings.get(name) for name in settings),
            *(row.truth.get(name) for name in truth),
            *(row.checks.get(name) for name in checks),
        ]
        writer.writerow([*(getattr(row, name) for name in names), *said])
    return stream.getvalue()
