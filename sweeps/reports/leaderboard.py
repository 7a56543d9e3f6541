"""The leaderboard: every method held against random, an interval beside every number.

Written as `leaderboard.json` and `leaderboard.csv` (one row a run and task) and `leaderboard.md` (seeds averaged).
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nait.core.statistics.results import Row
from nait.store import write_json, write_text
from nait.sweeps.grouping.names import some
from nait.sweeps.grouping.target_benchmarks import Benchmarks
from nait.sweeps.render.leaderboard_tables import MARKDOWN, differences, long, wide
from nait.sweeps.render.markdown import escaped
from nait.sweeps.render.table_notes import notes
from nait.sweeps.stats.aggregates import Line, summarise
from nait.sweeps.stats.contrasts import BASE, CONTROL, Items
from nait.sweeps.stored_runs.collect import NO_RUNS, Sheet, outcomes, sheets
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import ReadableStore

INNER = ("members", "result", "targetless", "budgetless")
"""What serves the statistics and pictures alone."""
MAPPINGS = ("settings", "truth", "checks")


@dataclass(frozen=True)
class Measured:
    """One table with its items and the lines that its rows make."""

    sheet: Sheet
    items: Items
    lines: Sequence[Line]
    of: int = 1
    """How many tables there are."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.sheet.rows

    @property
    def title(self) -> str:
        """`Table 2: model a; pool b; ...`, empty where there is one table."""
        return f"Table {self.sheet.number}: {self.sheet.head.said}" if self.of > 1 else ""


@dataclass(frozen=True)
class Leaderboard:
    """Writes the leaderboard's files. `headlines_only` prints what was asked for, not a group's subtasks.

    `control`: the row that the others are held against. `benchmarks` gives a target's own benchmarks, which order its
    rows, where their names do not begin or end with the target's.
    """

    headlines_only: bool = True
    control: str = CONTROL
    benchmarks: Benchmarks = field(default_factory=dict)

    def report(self, store: ReadableStore, runs: Sequence[str] | None, folder: Path) -> str:
        """The tables to print; the files hold every task."""
        return self.write(measured(RunSet.load(store, runs), self.control), folder)

    def write(self, found: Sequence[Measured], folder: Path) -> str:
        """The same, of tables that were collected and summarised before."""
        rows = once([row for one in found for row in one.rows])
        write_json(folder / "leaderboard.json", [as_record(row) for row in rows])
        write_text(folder / "leaderboard.csv", as_csv(rows))
        written = [part for one in found for part in self._parts(one, form=MARKDOWN)] or [NO_RUNS]
        write_text(folder / "leaderboard.md", "\n\n".join(["# Leaderboard", *written]) + "\n")
        printed = [part for one in found for part in self._parts(one, form="simple")] or [NO_RUNS]
        return "\n\n".join(printed) + f"\nLeaderboard: {folder / 'leaderboard.md'}"

    def _parts(self, one: Measured, *, form: str) -> list[str]:
        """One table as text: for a file (`github`) with every task, else with what was asked for."""
        shown, control, whole = self.shown(one.lines), self.control, form == MARKDOWN
        said = self.notes(one)
        parts = [
            f"## {escaped(one.title)}" if whole and one.title else one.title,
            wide(shown, form=form, benchmarks=self.benchmarks),
            differences(shown, form=form, control=control, benchmarks=self.benchmarks),
            long(one.lines, form=form, control=control) if whole else "",
            "\n".join(f"- {escaped(note)}" for note in said) if whole else "\n".join(said),
        ]
        return list(filter(None, parts))

    def notes(self, one: Measured) -> list[str]:
        """What must be read beside a table: of its numbers, its control and its names."""
        said = notes(self.shown(one.lines), control=self.control, benchmarks=self.benchmarks)
        return [*said, *several_controls(one.lines, self.control), *one.sheet.said]

    def shown(self, lines: Sequence[Line]) -> list[Line]:
        """The lines to print."""
        return [line for line in lines if line.headline or not self.headlines_only]


def several_controls(lines: Sequence[Line], control: str) -> list[str]:
    """Which of several lines is the control."""
    names = sorted({line.selector for line in lines if line.method == control})
    if len(names) < 2 or not any(line.difference for line in lines):
        return []
    return [
        f"{len(names)} lines are {control}: {some(names)}. A line is held against '{control}' where its budget has "
        "one, else against the one with which it shares most seeds."
    ]


def measured(runs: RunSet, control: str = CONTROL) -> list[Measured]:
    """The tables worth printing, each with its items and lines."""
    kept = _worth_a_table(sheets(runs))
    found = []
    for sheet in kept:
        items = outcomes(runs, sheet.rows)
        found.append(Measured(sheet, items, summarise(sheet.rows, items, control=control), len(kept)))
    return found


def _worth_a_table(found: Sequence[Sheet]) -> list[Sheet]:
    """Without the runs that only selected, where others of their model and pool were evaluated; numbered anew."""
    evaluated = {(one.head.model, one.head.pool) for one in found if one.evaluated}
    kept = [one for one in found if one.evaluated or (one.head.model, one.head.pool) not in evaluated]
    return [
        dataclasses.replace(one, number=k, rows=tuple(dataclasses.replace(row, table=k) for row in one.rows))
        for k, one in enumerate(kept, 1)
    ]


def once(rows: Sequence[Row]) -> list[Row]:
    """The rows; the one evaluation of a model that was not trained is one row, whatever its jobs' seeds."""
    seen: dict[tuple[object, ...], Row] = {}
    for k, row in enumerate(rows):
        base = row.method == BASE
        key = (row.table, row.selector, row.target, row.task, row.metric, row.outcome) if base else (k,)
        seen.setdefault(key, row)
    return list(seen.values())


def as_record(row: Row) -> dict[str, object]:
    """A row as plain values, without what other columns say already; None for what it does not have."""
    plain = {name: value for name, value in dataclasses.asdict(row).items() if name not in INNER}
    return {**plain, "seed": _seed(row), "budget": row.budget or None}


def _seed(row: Row) -> int | None:
    """The run's seed; None of a model that was not trained, which no seed changes."""
    return None if row.method == BASE else row.seed


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
        plain = as_record(row)
        writer.writerow([*(plain[name] for name in names), *said])
    return stream.getvalue()
