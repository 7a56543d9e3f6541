"""The transfer matrix: scores by the target used for selection and the benchmark.

Rows are targets, and "all" for runs that merge all targets: one for each way of merging, if there are several.
Columns are benchmarks. A cell is the score minus the control's at the same budget, over seeds.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nait.core.inputs.spreadsheets import inert
from nait.sweeps.grouping.names import titles
from nait.sweeps.render.svg import Grid
from nait.sweeps.stats.aggregates import LOWER, Line
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference
from nait.sweeps.stats.target_benchmarks import Benchmarks, belongs
from nait.sweeps.stored_runs.method_names import TARGETLESS

ALL = "all"
MERGES = {
    "BestRank": "union of top rows", "RoundRobin": "in turn", "MeanZScore": "mean z-score",
    "EqualQuota": "equal quota",
}  # fmt: skip
"""Order -> the way in which it merges the columns of several targets."""
ONE_DIRECTION = "one direction"


@dataclass(frozen=True)
class Matrix:
    """One selector's differences at one budget.

    `targets`: name of a row -> the target's label. `selectors`: name of a row -> the selector of its line, where it
    is not the matrix's.
    """

    selector: str
    budget: str
    model: str
    targets: Mapping[str, str]
    tasks: tuple[str, ...]
    cells: Mapping[tuple[str, str], Difference]
    own: frozenset[tuple[str, str]]
    table: int = 0
    selectors: Mapping[str, str] = field(default_factory=dict)

    @property
    def merged(self) -> list[str]:
        """The rows that merge all single targets, or all targets of the matrix."""
        return [name for name in self.targets if name == ALL or name.startswith(f"{ALL}, ")]

    @property
    def singles(self) -> list[str]:
        return [name for name, label in self.targets.items() if "+" not in label]

    @property
    def title(self) -> str:
        return f"{self.selector}, {self.budget}"


def matrices(lines: Sequence[Line], benchmarks: Benchmarks) -> list[Matrix]:
    """The matrices of all selectors with two targets or more; the cells are the leaderboard's differences."""
    tasks = columns(lines)
    cells = [
        line
        for line in lines
        if line.difference and line.task in tasks and line.method not in TARGETLESS and not line.targetless
    ]
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in cells:
        groups.setdefault((line.model, _selector(line), line.budget), []).append(line)
    wanted = {
        key
        for key, group in groups.items()
        if len({(line.target, _merge(line)) for line in group}) > 1 and len(tasks) > 1
    }
    return [_matrix(key, groups[key], tasks, benchmarks) for key in sorted(wanted)]


def _merge(line: Line) -> str:
    """How a line merges several targets, as far as lines of its method differ in it."""
    if "+" not in line.target:
        return ""
    order = line.settings.get("order", "")
    return ONE_DIRECTION if line.settings.get("merge") == "directions" else MERGES.get(order, order)


def _selector(line: Line) -> str:
    """The line's selector without the settings of merging, so that single and merged targets share a matrix."""
    ways = ("order", "merge") if "+" in line.target else ("merge",)
    rest = {key: value for key, value in line.settings.items() if key not in ways}
    return line.selector if len(rest) == len(line.settings) else titles([(line.method, rest)])[0][0]


def columns(lines: Sequence[Line]) -> list[str]:
    """The requested benchmarks, without groups whose members are all requested."""
    asked = {line.task: line.members for line in lines if line.headline and line.task}
    return sorted(task for task, members in asked.items() if not members or not set(members) <= set(asked))


def _matrix(
    key: tuple[str, str, str], lines: Sequence[Line], tasks: Sequence[str], benchmarks: Benchmarks
) -> Matrix:
    model, selector, budget = key
    labels = sorted({line.target for line in lines}, key=lambda label: (label.count("+"), label))
    singles = {label for label in labels if "+" not in label}
    merged = [label for label in labels if "+" in label and singles <= set(label.split("+"))]
    ways = {label: sorted({_merge(line) for line in lines if line.target == label}) for label in labels}

    def name(label: str, way: str) -> str:
        first = ALL if [label] == merged else label  # "all" is one label or none
        return f"{first}, {way}" if len(ways[label]) > 1 else first

    names = {name(label, way): label for label in labels for way in ways[label]}
    own = {(row, task) for row in names for task in tasks if belongs(row, task, benchmarks, singles)}
    selectors = {name(line.target, _merge(line)): line.selector for line in lines}
    cells = {
        (name(line.target, _merge(line)), line.task): line.difference for line in lines if line.difference
    }
    filled = {task for _, task in cells}  # a task without stored items has no difference
    ordered = sorted(
        (task for task in tasks if task in filled),
        key=lambda task: [k for k, row in enumerate(names) if (row, task) in own] or [99],
    )
    return Matrix(selector, budget, model, names, tuple(ordered), cells, frozenset(own), selectors=selectors)


def grid(matrix: Matrix) -> Grid:
    """The matrix as a heat map: significant cells bold, cells of a target's own benchmark framed.

    Columns where lower is better are marked, and blue is better in all columns. With one seed, the title notes that
    intervals are over items only.
    """
    shape = (len(matrix.targets), len(matrix.tasks))
    values, strong, framed = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
    for r, target in enumerate(matrix.targets):
        for c, task in enumerate(matrix.tasks):
            cell = matrix.cells.get((target, task))
            framed[r, c] = (target, task) in matrix.own
            if cell:
                values[r, c], strong[r, c] = cell.value, cell.significant
    tested = any(cell.tested for cell in matrix.cells.values())
    title = matrix.title if tested else f"{matrix.title} ({ITEMS_ONLY})"
    lower = {task for (_, task), cell in matrix.cells.items() if not cell.higher_is_better}
    turned = frozenset(c for c, task in enumerate(matrix.tasks) if task in lower)
    columns = [f"{task} ({LOWER})" if task in lower else task for task in matrix.tasks]
    return Grid(
        title,
        list(matrix.targets),
        columns,
        values,
        strong,
        framed,
        turned,
        ("target that selected", "benchmark"),
        "score minus control",
    )


def as_csv(found: Sequence[Matrix]) -> str:
    """CSV with one row per cell."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["table", "model", "selector", "budget", "target", "task", "own", "difference", "low", "high",
                     "p", "p_holm", "significant", "seeds", "items", "interval over"])  # fmt: skip
    for matrix in found:
        named = [matrix.table, matrix.model, matrix.selector, matrix.budget]
        for (target, task), cell in matrix.cells.items():
            own = (target, task) in matrix.own
            p, over = (cell.p, "items and seeds") if cell.tested else (None, ITEMS_ONLY)
            writer.writerow(map(inert, [*named, target, task, own, cell.value, cell.low, cell.high, p, cell.adjusted,
                                        cell.significant, cell.seeds, cell.items, over]))  # fmt: skip
    return stream.getvalue()
