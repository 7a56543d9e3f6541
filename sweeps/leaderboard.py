"""The leaderboard: one line a method and task, seeds together, an interval beside every number.

Written as `leaderboard.json` and `leaderboard.csv` (one row a run and task) and `leaderboard.md` (seeds averaged).
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nait.core.results import Row
from nait.store import Store, write_json, write_text

from .collect import collect

Z95 = 1.959964


@dataclass(frozen=True)
class Line:
    """A method's result on one task over its seeds. `half_width`: of the 95 % interval, None where unknown."""

    selector: str
    target: str
    budget: str
    model: str
    task: str
    metric: str
    value: float
    half_width: float | None
    seeds: int
    n: int
    selected_rows: int
    answer_tokens: int
    seconds_select: float
    seconds_train: float
    seconds_evaluate: float
    device_hours: float
    money: float | None
    missing: str


def summarise(rows: Sequence[Row]) -> list[Line]:
    """Rows that differ in the seed alone, averaged; the best value of each task first.

    The interval is over items (the tasks' standard errors, averaged in quadrature over seeds' common items, which
    is conservative) or, where it is wider, over seeds (Student's t).
    """
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        key = (row.model, row.task, row.metric, row.target, row.budget, row.selector)
        groups.setdefault(key, []).append(row)
    lines = [_line(group) for group in groups.values()]
    return sorted(lines, key=lambda line: (line.model, line.task, line.metric, -line.value, line.selector))


def _line(group: Sequence[Row]) -> Line:
    first, count = group[0], len(group)
    mean = sum(row.value for row in group) / count
    errors = [row.stderr for row in group if row.stderr is not None and not math.isnan(row.stderr)]
    over_items = Z95 * math.sqrt(sum(e * e for e in errors) / len(errors)) if errors else None
    if over_items == 0.0:  # all items alike: Wilson's interval of a share that was 0 or 1
        over_items = Z95**2 / (first.n + Z95**2)
    widths = [width for width in (over_items, _over_seeds([row.value for row in group])) if width is not None]

    def average(name: str) -> float:
        return float(sum(getattr(row, name) for row in group) / count)

    return Line(
        selector=first.selector,
        target=first.target,
        budget=first.budget,
        model=first.model,
        task=first.task,
        metric=first.metric,
        value=mean,
        half_width=max(widths) if widths else None,
        seeds=len({row.seed for row in group}),
        n=first.n,
        selected_rows=round(average("selected_rows")),
        answer_tokens=round(average("answer_tokens")),
        seconds_select=average("seconds_select"),
        seconds_train=average("seconds_train"),
        seconds_evaluate=average("seconds_evaluate"),
        device_hours=average("device_hours"),
        money=average("money") if first.money is not None else None,
        missing=first.missing,
    )


def _over_seeds(values: Sequence[float]) -> float | None:
    from scipy import stats

    if len(values) < 2:
        return None
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return float(stats.t.ppf(0.975, len(values) - 1)) * spread / math.sqrt(len(values))


COLUMNS = ("task", "metric", "selector", "target", "budget", "score", "seeds", "n", "rows", "answer tokens",
           "select s", "train s", "evaluate s")  # fmt: skip


def table(lines: Sequence[Line], *, form: str = "github") -> str:
    """The lines as a table in one of tabulate's formats, with the notes that belong to it."""
    from tabulate import tabulate

    body = [
        [line.task, line.metric, line.selector, line.target, line.budget, _score(line), line.seeds, line.n,
         line.selected_rows, line.answer_tokens, f"{line.seconds_select:.1f}", f"{line.seconds_train:.1f}",
         f"{line.seconds_evaluate:.1f}"]
        for line in lines
    ]  # fmt: skip
    return str(tabulate(body, headers=COLUMNS, tablefmt=form, disable_numparse=True))


def _score(line: Line) -> str:
    return f"{line.value:.4f}" + (f" ± {line.half_width:.4f}" if line.half_width is not None else "")


def notes(lines: Sequence[Line]) -> list[str]:
    """What a reader must know beside the numbers."""
    said = ["score ± half of the 95 % interval (over items or over seeds, the wider)."]
    if lines and not any(line.selector.startswith("random") for line in lines):
        said.append("No random control is in this table: run selector=random beside it.")
    if lines and max(line.seeds for line in lines) < 3:
        said.append("Fewer than three seeds: differences between methods are not established.")
    missing = sorted({f"{line.task} lacks {line.missing}" for line in lines if line.missing})
    return said + [f"Partial: {text}." for text in missing]


@dataclass(frozen=True)
class Leaderboard:
    """Writes the leaderboard's three files. `headlines_only` prints what was asked for, not a group's subtasks."""

    headlines_only: bool = True

    def report(self, store: Store, runs: Sequence[str] | None, folder: Path) -> str:
        """The table to print; the files hold every task."""
        rows = collect(store, runs)
        write_json(folder / "leaderboard.json", [dataclasses.asdict(row) for row in rows])
        write_text(folder / "leaderboard.csv", _csv(rows))
        lines = summarise(rows)
        text = "\n".join(f"- {note}" for note in notes(lines))
        write_text(folder / "leaderboard.md", f"# Leaderboard\n\n{table(lines)}\n\n{text}\n")
        shown = summarise([row for row in rows if row.headline]) if self.headlines_only else lines
        printed = "\n".join(notes(shown))
        return f"{table(shown, form='simple')}\n\n{printed}\nLeaderboard: {folder / 'leaderboard.md'}"


def _csv(rows: Sequence[Row]) -> str:
    import csv
    import io

    names = [field.name for field in dataclasses.fields(Row)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([[getattr(row, name) for name in names] for row in rows])
    return stream.getvalue()


def read_rows(path: Path) -> list[Row]:
    """The rows of a `leaderboard.json`."""
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
