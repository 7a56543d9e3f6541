"""Leaderboard tables as text: one row per method, one column per task."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nait.core.inputs.visible_text import visible_line
from nait.sweeps.render import markdown
from nait.sweeps.render.narrow_tables import terminal_table
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference
from nait.sweeps.stats.target_benchmarks import Benchmarks, leading
from nait.sweeps.stored_runs.method_names import CONTROL

LONG = ("task", "metric", "selector", "target", "budget", "score", "minus random", "seeds", "n", "rows",
        "answer tokens", "select s", "train s", "evaluate s")  # fmt: skip
TRUTH = ("precision", "precision each", "coverage", "clean", "lookalike", "auc")
CHECKS = ("rho", "margin", "top layer")
METHOD_COLUMNS = 3
"""Selector, target and budget."""
HUGE = 1e6
MARKDOWN = "github"
"""The table format of files; any other is a tabulate format for the terminal."""
NONE: Benchmarks = {}


def wide(lines: Sequence[Line], *, form: str, benchmarks: Benchmarks = NONE) -> str:
    """One row per method, target and budget; columns: tasks, ground truth, checks and seconds."""
    header, body = wide_cells(lines, benchmarks)
    return tabulated(header, body, form, repeated=METHOD_COLUMNS)


def wide_cells(lines: Sequence[Line], benchmarks: Benchmarks = NONE) -> tuple[list[str], list[list[object]]]:
    """Header and body of the `wide` table."""
    tasks = sorted({line.task for line in lines if line.task})
    known = [name for name in TRUTH if any(name in line.truth for line in lines)]
    asked = CHECKS[:1] if tasks else CHECKS
    checked = [name for name in asked if any(name in line.checks for line in lines)]
    phases = ["select s", "train s", "eval s"][: 3 if tasks else 1 + trained(lines)]
    header = ["selector", "target", "budget", "seeds", *tasks, *known, *checked, *phases]
    body: list[list[object]] = []
    for group in _methods(lines, lines, benchmarks):
        first, cells = group[0], {line.task: score(line) for line in group}
        truth = [f"{first.truth[name]:z.2f}" if name in first.truth else "" for name in known]
        checks = [f"{first.checks[name]:z.2f}" if name in first.checks else "" for name in checked]
        taken = [first.seconds_select, first.seconds_train, first.seconds_evaluate][: len(phases)]
        body.append([first.selector, first.target, first.budget, seeds(first), *(cells.get(t, "") for t in tasks),
                     *truth, *checks, *map(seconds, taken)])  # fmt: skip
    return header, body


def trained(lines: Sequence[Line]) -> bool:
    """Whether any line was trained."""
    return any(line.seconds_train is not None for line in lines)


def differences(
    lines: Sequence[Line], *, form: str, control: str = CONTROL, benchmarks: Benchmarks = NONE
) -> str:
    """The differences to the control with their intervals, in the layout of `wide`; empty without any."""
    header, body = difference_cells(lines, control=control, benchmarks=benchmarks)
    return tabulated(header, body, form, repeated=METHOD_COLUMNS) if body else ""


def difference_cells(
    lines: Sequence[Line], *, control: str = CONTROL, benchmarks: Benchmarks = NONE
) -> tuple[list[str], list[list[object]]]:
    """Header and body of the `differences` table."""
    compared = [line for line in lines if line.difference]
    tasks = sorted({line.task for line in compared})
    body: list[list[object]] = []
    for group in _methods(compared, lines, benchmarks):
        cells = {line.task: difference(line.difference) for line in group if line.difference}
        first = group[0]
        body.append([first.selector, first.target, first.budget, *(cells.get(task, "") for task in tasks)])
    return [f"minus {control}", "target", "budget", *tasks], body


def long(lines: Sequence[Line], *, form: str, control: str = CONTROL) -> str:
    """One row per task and method with all columns; empty where nothing was evaluated."""
    header, body = long_cells(lines, control=control)
    return tabulated(header, body, form) if body else ""


def long_cells(lines: Sequence[Line], *, control: str = CONTROL) -> tuple[list[str], list[list[object]]]:
    """Header and body of the `long` table."""
    body: list[list[object]] = []
    for line in lines:
        if not line.task:
            continue
        compared = difference(line.difference) if line.difference else ""
        taken = (line.seconds_select, line.seconds_train, line.seconds_evaluate)
        named = [line.task, line.metric, line.selector, line.target, line.budget, score(line), compared]
        counted = [seeds(line), line.n, count(line.selected_rows), count(line.answer_tokens)]
        body.append([*named, *counted, *map(seconds, taken)])
    return [name.replace(CONTROL, control) for name in LONG], body


def _methods(lines: Sequence[Line], everything: Sequence[Line], benchmarks: Benchmarks) -> list[list[Line]]:
    """The lines of each method, target and budget, by target, budget and the target's own benchmark, best first.

    `everything`: all lines of the table, which determine the benchmarks.
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.model, line.target, line.budget, line.selector), []).append(line)
    budgets = {line.budget for line in everything if not line.budgetless}
    # with a single budget, references are sorted among its lines
    shared = budgets.pop() if len(budgets) == 1 else ""
    deciding = {target: leading(target, everything, benchmarks) for target in {line.target for line in lines}}

    def place(group: list[Line]) -> tuple[str, str, tuple[str, float], bool, float, float]:
        first = group[0]
        values = [line.worth for line in group if line.task in deciding[first.target]]
        mean = sum(values) / len(values) if values else 0.0
        budget = shared if first.budgetless else first.budget
        return (
            first.model,
            first.target,
            by_amount(budget),
            not values,
            -mean,
            -first.truth.get("precision", 0.0),
        )

    return sorted(groups.values(), key=place)


def by_amount(budget: str) -> tuple[str, float]:
    """The place of a budget among others: by its unit, then by its number. 30% is before 100%."""
    found = re.match(r"\d+(?:\.\d+)?(?:e-?\d+)?", budget)
    return (budget[found.end() :], float(found.group())) if found else (budget, 0.0)


def written(text: str, form: str) -> str:
    """The text, escaped for a Markdown file or for the terminal."""
    return markdown.escaped(text) if form == MARKDOWN else visible_line(text)


def tabulated(
    header: Sequence[str], body: Sequence[Sequence[object]], form: str, *, repeated: int = 1
) -> str:
    """A table as text in this format; for the terminal no wider than it, see `terminal_table`."""
    if form == MARKDOWN:
        return markdown.table(header, [[str(cell) for cell in row] for row in body])
    return terminal_table(header, body, form, repeated=repeated)


def seconds(value: float | None) -> str:
    """Seconds with one decimal; blank for a phase that did not run."""
    return "" if value is None else f"{value:.1f}"


def count(value: int | None) -> str:
    """A count; blank for None."""
    return "" if value is None else str(value)


def score(line: Line) -> str:
    """The mean and the longer arm of its 95 % interval."""
    return number(line.value) + (f" ± {number(line.half_width)}" if line.half_width is not None else "")


def number(value: float, *, signed: bool = False) -> str:
    """Three decimals, without a negative zero; scientific notation from a million on, as of perplexities."""
    return f"{value:{'+' if signed else ''}z{'.3f' if not abs(value) >= HUGE else '.3e'}}"


def seeds(line: Line) -> str:
    """The number of seeds; a single evaluated seed is marked, since its interval is over items only."""
    single = line.seeds == 1 and line.task
    return f"{line.seeds} ({ITEMS_ONLY})" if single else str(line.seeds)


def difference(found: Difference) -> str:
    """The difference and its interval, marked `n.s.` if not significant."""
    value, low, high = (number(one, signed=True) for one in (found.value, found.low, found.high))
    text = f"{value} [{low}, {high}]"
    if not found.tested:
        return f"{text} {ITEMS_ONLY}"
    return text if found.significant else f"{text} n.s."
