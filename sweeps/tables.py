"""Tables: the lines of a leaderboard as text, one row a method and one column a task."""

from __future__ import annotations

from collections.abc import Sequence

from nait.core.differences import at_most_one

from . import markdown
from .benchmarks import Benchmarks, leading, owned
from .contrasts import BASE, CONTROL
from .lines import Line
from .names import aims
from .statistics import ITEMS_ONLY, Difference, findable

LONG = ("task", "metric", "selector", "target", "budget", "score", "minus random", "seeds", "n", "rows",
        "answer tokens", "select s", "train s", "evaluate s")  # fmt: skip
TRUTH = ("precision", "precision each", "coverage", "clean", "lookalike", "auc")
CHECKS = ("rho", "margin", "top layer")
SCORES = (
    "score ± the longer arm of its 95 % interval, over items and, where a line has several, over seeds; a method's "
    "spread over seeds is estimated with the help of the table's other methods where there are three or more."
)
HUGE = 1e6
MARKDOWN = "github"
"""The form of a file's tables; any other is tabulate's, for a terminal."""
NONE: Benchmarks = {}
WORTH = "What was selected, by the rows' own labels; {not_done}. rho: of the score with token length."


def wide(lines: Sequence[Line], *, form: str, benchmarks: Benchmarks = NONE) -> str:
    """One row a method, target and budget; one column a task; then ground truth, checks and seconds."""
    header, body = wide_cells(lines, benchmarks)
    return tabulated(header, body, form)


def wide_cells(lines: Sequence[Line], benchmarks: Benchmarks = NONE) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    tasks = sorted({line.task for line in lines if line.task})
    known = [name for name in TRUTH if any(name in line.truth for line in lines)]
    asked = CHECKS[:1] if tasks else CHECKS
    checked = [name for name in asked if any(name in line.checks for line in lines)]
    phases = ["select s", "train s", "eval s"][: 3 if tasks else 1 + _trained(lines)]
    header = ["selector", "target", "budget", "seeds", *tasks, *known, *checked, *phases]
    body: list[list[object]] = []
    for group in _methods(lines, lines, benchmarks):
        first, cells = group[0], {line.task: score(line) for line in group}
        truth = [f"{first.truth[name]:.2f}" if name in first.truth else "" for name in known]
        checks = [f"{first.checks[name]:.2f}" if name in first.checks else "" for name in checked]
        taken = [first.seconds_select, first.seconds_train, first.seconds_evaluate][: len(phases)]
        body.append([first.selector, first.target, first.budget, seeds(first), *(cells.get(t, "") for t in tasks),
                     *truth, *checks, *map(seconds, taken)])  # fmt: skip
    return header, body


def _trained(lines: Sequence[Line]) -> bool:
    return any(line.seconds_train is not None for line in lines)


def differences(
    lines: Sequence[Line], *, form: str, control: str = CONTROL, benchmarks: Benchmarks = NONE
) -> str:
    """The same rows and columns, each cell the difference to the control with its interval; empty without one."""
    header, body = difference_cells(lines, control=control, benchmarks=benchmarks)
    return tabulated(header, body, form) if body else ""


def difference_cells(
    lines: Sequence[Line], *, control: str = CONTROL, benchmarks: Benchmarks = NONE
) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    compared = [line for line in lines if line.difference]
    tasks = sorted({line.task for line in compared})
    body: list[list[object]] = []
    for group in _methods(compared, lines, benchmarks):
        cells = {line.task: difference(line.difference) for line in group if line.difference}
        first = group[0]
        body.append([first.selector, first.target, first.budget, *(cells.get(task, "") for task in tasks)])
    return [f"minus {control}", "target", "budget", *tasks], body


def long(lines: Sequence[Line], *, form: str, control: str = CONTROL) -> str:
    """One row a task and method, everything beside it; empty where nothing was evaluated."""
    header, body = long_cells(lines, control=control)
    return tabulated(header, body, form) if body else ""


def long_cells(lines: Sequence[Line], *, control: str = CONTROL) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    body: list[list[object]] = []
    for line in lines:
        if not line.task:
            continue
        compared = difference(line.difference) if line.difference else ""
        taken = (line.seconds_select, line.seconds_train, line.seconds_evaluate)
        named = [line.task, line.metric, line.selector, line.target, line.budget, score(line), compared]
        counted = [seeds(line), line.n, line.selected_rows, line.answer_tokens]
        body.append([*named, *counted, *map(seconds, taken)])
    return [name.replace(CONTROL, control) for name in LONG], body


def _methods(lines: Sequence[Line], everything: Sequence[Line], benchmarks: Benchmarks) -> list[list[Line]]:
    """The lines of each method, target and budget; by target, then by its own benchmark, best first.

    `everything`: all lines of the table, which say what was evaluated.
    """
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.model, line.target, line.budget, line.selector), []).append(line)
    deciding = {target: leading(target, everything, benchmarks) for target in {line.target for line in lines}}

    def place(group: list[Line]) -> tuple[str, str, str, bool, float, float]:
        first = group[0]
        values = [line.worth for line in group if line.task in deciding[first.target]]
        mean = sum(values) / len(values) if values else 0.0
        return first.model, first.target, first.budget, not values, -mean, -first.truth.get("precision", 0.0)

    return sorted(groups.values(), key=place)


def written(text: str, form: str) -> str:
    """Text as this form shows it: escaped in Markdown."""
    return markdown.escaped(text) if form == MARKDOWN else text


def tabulated(header: Sequence[str], body: Sequence[Sequence[object]], form: str) -> str:
    """A table as text in this form."""
    if form == MARKDOWN:
        return markdown.table(header, [[str(cell) for cell in row] for row in body])
    from tabulate import tabulate

    return str(tabulate(body, headers=header, tablefmt=form, disable_numparse=True))


def seconds(value: float | None) -> str:
    """Seconds with one decimal; blank where the phase did not take place."""
    return "" if value is None else f"{value:.1f}"


def score(line: Line) -> str:
    """The mean and the longer arm of its 95 % interval."""
    return number(line.value) + (f" ± {number(line.half_width)}" if line.half_width is not None else "")


def number(value: float, *, signed: bool = False) -> str:
    """Three decimals; from a million on, as a perplexity can be, four digits and a power of ten."""
    return f"{value:{'+' if signed else ''}{'.3f' if not abs(value) >= HUGE else '.3e'}}"


def seeds(line: Line) -> str:
    """How many seeds; of one that more seeds would change, that its intervals are over items alone."""
    alone = line.seeds == 1 and line.task and line.method != BASE
    return f"{line.seeds} ({ITEMS_ONLY})" if alone else str(line.seeds)


def difference(found: Difference) -> str:
    """The difference and its interval; one that is not significant is called what it is."""
    value, low, high = (number(one, signed=True) for one in (found.value, found.low, found.high))
    said = f"{value} [{low}, {high}]"
    if not found.tested:
        return f"{said} {ITEMS_ONLY}"
    return said if found.significant else f"{said} n.s."


def notes(lines: Sequence[Line], *, control: str = CONTROL, benchmarks: Benchmarks = NONE) -> list[str]:
    """What a reader must know beside the numbers."""
    if not any(line.task for line in lines):
        not_done = "nothing was evaluated" if _trained(lines) else "nothing was trained or evaluated"
        return [WORTH.format(not_done=not_done)] if any(line.truth for line in lines) else []
    said = [SCORES, *_ordered(lines, benchmarks)]
    compared = [line.difference for line in lines if line.difference]
    if compared:
        over = "items and seeds" if any(one.tested for one in compared) else "items"
        how = f"paired by item and seed, [95 % interval over {over}]"
        said += [f"minus {control}: {how}; {how_judged(lines, control)}.", *detectable(lines)]
    elif any(control not in (line.selector, line.method) for line in lines):
        said.append(_uncontrolled(lines, control))
    said += _few([line for line in lines if line.task and line.method != BASE])
    lower = sorted({line.task for line in lines if line.task and not line.higher_is_better})
    said += [f"Lower is better: {', '.join(lower)}."] if lower else []
    whole = sorted({f"{line.task} ({line.metric})" for line in lines if line.task and not line.itemised})
    if whole:
        said.append(
            f"No mean over items: {', '.join(whole)}. Their ± is the wider of the task's own standard error and the "
            "spread over seeds, and no difference is tested."
        )
    missing = sorted({f"{line.task} lacks {line.missing}" for line in lines if line.missing})
    return said + [f"Partial: {text}." for text in missing]


def _ordered(lines: Sequence[Line], benchmarks: Benchmarks) -> list[str]:
    """What orders the rows of each target, where there is more than one row to order."""
    targets = sorted({line.target for line in lines})
    if len({line.selector for line in lines}) < 2:
        return []
    named = aims(targets)
    own = {target: owned(target, lines, benchmarks) for target in targets}
    said = [
        f"{named[target]}: {', '.join(tasks)}" for target, tasks in own.items() if tasks and len(tasks) < 3
    ]
    said += [
        f"{named[target]}: the mean of their benchmarks" for target, tasks in own.items() if len(tasks) > 2
    ]
    others = [named[target] for target, tasks in own.items() if not tasks]
    parts = [f"Order: by the target's own benchmark ({'; '.join(said)})."] if said else []
    if others:
        by = ", ".join(leading(next(t for t in targets if not own[t]), lines, benchmarks))
        parts.append(
            f"Order: by {by} for {', '.join(others)}, of which no benchmark here is known to be its own."
        )
    return parts


def how_judged(lines: Sequence[Line], control: str) -> str:
    """How the differences were tested, and in which families."""
    found = [(line.headline, line.difference) for line in lines if line.difference]
    families = {headline: one.family for headline, one in found if one.tested}
    said = []
    if families:
        count = families.get(True) or families[False]
        said.append(
            f"n.s.: p >= 0.05 after Holm's correction for the table's {count} differences to {control}"
        )
    if len(families) > 1:
        said.append(f"groups' subtasks are a family of their own, of {families[False]}")
    if not all(one.tested for _, one in found):
        said.append(f"{ITEMS_ONLY}: of one seed, an interval over items alone, which is not tested")
    return "; ".join(said)


def _uncontrolled(lines: Sequence[Line], control: str) -> str:
    if all(line.method == BASE for line in lines if line.task):
        return "Nothing was trained here: the table has the model as it is, and there is nothing to compare it with."
    if any(control in (line.selector, line.method) for line in lines):
        return f"No line has a {control} control of its own model, budget, recipe, seeds and items in this table."
    return f"No {control} control is in this table: run selector={control} beside it."


def _few(lines: Sequence[Line]) -> list[str]:
    most = max((line.seeds for line in lines), default=3)
    if most > 2:
        return []
    if most == 2:
        return [
            "Fewer than three seeds: with two, only very large differences can be told from the seeds' own."
        ]
    return [
        f"Fewer than three seeds: intervals are over {ITEMS_ONLY}, and no difference is called significant."
    ]


def detectable(lines: Sequence[Line]) -> list[str]:
    """What these items and seeds could find at all, task by task; empty where nothing is tested."""
    tasks: dict[str, list[Difference]] = {}
    for line in lines:
        if line.difference:
            tasks.setdefault(line.task, []).append(line.difference)
    found = {task: value for task, one in sorted(tasks.items()) if (value := findable(one)) is not None}
    if not found:
        return []
    shown = ", ".join(f"{task} {at_most_one(value)}" for task, value in found.items())
    return [f"Smallest true difference found with power 0.8 after Holm's correction: {shown}."]
