"""The leaderboard: scores with confidence intervals, and each method's difference to a control.

Files: `leaderboard.json` and `leaderboard.csv` (one row per run and task), `leaderboard.md` and `means.csv`
(means over seeds).
"""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nait.core.inputs.spreadsheets import inert
from nait.core.inputs.visible_text import visible_line
from nait.core.statistics.results import Row
from nait.store import write_json, write_text
from nait.store.jsonable import plain
from nait.sweeps.grouping.collect import NO_RUNS, Sheet, outcomes, sheets
from nait.sweeps.grouping.names import some
from nait.sweeps.render.leaderboard_tables import MARKDOWN, differences, long, wide
from nait.sweeps.render.markdown import escaped, failed_section
from nait.sweeps.render.means_csv import as_means_csv
from nait.sweeps.render.table_notes import notes
from nait.sweeps.stats.aggregates import Line, summarise
from nait.sweeps.stats.contrasts import Items
from nait.sweeps.stats.target_benchmarks import Benchmarks
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, SUBSET, TILTED
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import ReadableStore

INTERNAL = ("members", "result", "targetless", "budgetless")
"""Fields used only by statistics and figures."""
MAPPINGS = ("settings", "truth", "checks")


@dataclass(frozen=True)
class Measured:
    """One table with its item outcomes and its lines."""

    sheet: Sheet
    items: Items
    lines: Sequence[Line]
    of: int = 1
    """Number of tables."""

    @property
    def rows(self) -> tuple[Row, ...]:
        return self.sheet.rows

    @property
    def title(self) -> str:
        """`Table 2: model a; pool b; ...`, empty for a single table."""
        return f"Table {self.sheet.number}: {self.sheet.head.text}" if self.of > 1 else ""


@dataclass(frozen=True)
class Leaderboard:
    """Writes the leaderboard's files.

    `headlines_only`: print the requested tasks, without the subtasks of groups. `control`: the method that the
    others are compared with. `benchmarks`: target -> its own benchmarks, which sort its rows; by default the tasks
    whose names begin or end with the target's.
    """

    headlines_only: bool = True
    control: str = CONTROL
    benchmarks: Benchmarks = field(default_factory=dict)

    def report(
        self, store: ReadableStore, runs: Sequence[str] | None, folder: Path, *, failed: Sequence[str] = ()
    ) -> str:
        """Write the files, with every task, and return the tables to print."""
        return self.write(measured(RunSet.load(store, runs), self.control), folder, failed=failed)

    def write(self, found: Sequence[Measured], folder: Path, *, failed: Sequence[str] = ()) -> str:
        """Write the files of these tables and return the text to print.

        `failed`: lines on jobs without a result, for `leaderboard.md`.
        """
        rows = once([row for one in found for row in one.rows])
        write_json(folder / "leaderboard.json", plain([as_record(row) for row in rows]))
        write_text(folder / "leaderboard.csv", as_csv(rows))
        write_text(folder / "means.csv", as_means_csv([one.lines for one in found], control=self.control))
        written = [part for one in found for part in self._parts(one, form=MARKDOWN)] or [NO_RUNS]
        write_text(
            folder / "leaderboard.md",
            "\n\n".join(["# Leaderboard", *failed_section(failed), *written]) + "\n",
        )
        printed = [part for one in found for part in self._parts(one, form="simple")] or [NO_RUNS]
        return "\n\n".join(printed) + f"\nLeaderboard: {folder / 'leaderboard.md'}"

    def _parts(self, one: Measured, *, form: str) -> list[str]:
        """One table as text: for a file (`github`) with every task, else with the requested tasks."""
        shown, control, whole = self.shown(one.lines), self.control, form == MARKDOWN
        remarks = self.notes(one)
        parts = [
            (f"## {escaped(one.title)}" if whole else visible_line(one.title)) if one.title else "",
            wide(shown, form=form, benchmarks=self.benchmarks),
            differences(shown, form=form, control=control, benchmarks=self.benchmarks),
            long(one.lines, form=form, control=control) if whole else "",
            "\n".join(f"- {escaped(note)}" for note in remarks)
            if whole
            else "\n".join(map(visible_line, remarks)),
        ]
        return list(filter(None, parts))

    def notes(self, one: Measured) -> list[str]:
        """Notes on a table: its numbers, its control and its names."""
        general = notes(self.shown(one.lines), control=self.control, benchmarks=self.benchmarks)
        return [*general, *several_controls(one.lines, self.control), *one.sheet.notes]

    def shown(self, lines: Sequence[Line]) -> list[Line]:
        """Lines to print."""
        return [line for line in lines if line.headline or not self.headlines_only]


def several_controls(lines: Sequence[Line], control: str) -> list[str]:
    """A note on which of several lines is the control."""
    names = sorted({line.selector for line in lines if line.method == control})
    if len(names) < 2 or not any(line.difference for line in lines):
        return []
    return [
        f"{len(names)} lines are {control}: {some(names)}. Each line is compared to '{control}' where its budget "
        "has one, else to the line with which it shares most seeds."
    ]


def measured(runs: RunSet, control: str = CONTROL) -> list[Measured]:
    """The tables to print, each with its items and lines."""
    kept = _without_unevaluated(_without_subsets(sheets(runs)))
    found = []
    for sheet in kept:
        items = outcomes(runs, sheet.rows)
        found.append(Measured(sheet, items, summarise(sheet.rows, items, control=control), len(kept)))
    return found


def _without_subsets(found: Sequence[Sheet]) -> list[Sheet]:
    """Drop the random subsets that measure other methods (see `sweeps/validity`), and tables without other lines."""
    kept = [
        dataclasses.replace(
            one, rows=tuple(row for row in one.rows if row.method != TILTED or SUBSET not in row.settings)
        )
        for one in found
    ]
    return [one for one in kept if one.rows]


def _without_unevaluated(found: Sequence[Sheet]) -> list[Sheet]:
    """Drop tables without evaluations whose model and pool are evaluated elsewhere, and renumber.

    The first table of that model and pool has a note on the runs that are left out.
    """
    evaluated = {(one.head.model, one.head.pool) for one in found if one.evaluated}
    dropped: dict[tuple[str, str], dict[str, str]] = {}
    kept = []
    for one in found:
        place = (one.head.model, one.head.pool)
        if one.evaluated or place not in evaluated:
            kept.append(one)
        else:
            dropped.setdefault(place, {}).update({row.run: row.selector for row in one.rows})
    return [
        dataclasses.replace(
            one,
            number=k,
            rows=tuple(dataclasses.replace(row, table=k) for row in one.rows),
            notes=(*one.notes, *_left_out(dropped.pop((one.head.model, one.head.pool), {}))),
        )
        for k, one in enumerate(kept, 1)
    ]


def _left_out(runs: Mapping[str, str]) -> list[str]:
    """A note on runs, address -> method, without an evaluation."""
    names = some(sorted(set(runs.values())))
    return [f"Left out: {len(runs)} runs without an evaluation ({names})."] if runs else []


def once(rows: Sequence[Row]) -> list[Row]:
    """The rows, with the untrained model's rows merged over seeds."""
    seen: dict[tuple[object, ...], Row] = {}
    for k, row in enumerate(rows):
        base = row.method == BASE
        key = (row.table, row.selector, row.target, row.task, row.metric, row.outcome) if base else (k,)
        seen.setdefault(key, row)
    return list(seen.values())


def as_record(row: Row) -> dict[str, object]:
    """A row as plain values without its internal fields; None where a field is empty."""
    plain = {name: value for name, value in dataclasses.asdict(row).items() if name not in INTERNAL}
    return {**plain, "seed": _seed(row), "budget": row.budget or None}


def _seed(row: Row) -> int | None:
    """The run's seed; None for the untrained model, which does not depend on it."""
    return None if row.method == BASE else row.seed


def as_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; each differing setting, ground-truth measure and check is a column. No cell is a formula."""
    settings = sorted({name for row in rows for name in row.settings})
    truth = sorted({name for row in rows for name in row.truth})
    checks = sorted({name for row in rows for name in row.checks})
    names = [field.name for field in dataclasses.fields(Row) if field.name not in (*INTERNAL, *MAPPINGS)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    titles = [f"settings.{name}" if name in names else name for name in settings]
    writer.writerow(map(inert, [*names, *titles, *truth, *checks]))
    for row in rows:
        extra = [
            *(row.settings.get(name) for name in settings),
            *(row.truth.get(name) for name in truth),
            *(row.checks.get(name) for name in checks),
        ]
        plain = as_record(row)
        writer.writerow(map(inert, [*(plain[name] for name in names), *extra]))
    return stream.getvalue()
