"""Tables: the lines of a leaderboard as text, one row a method and one column a task."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from .contrasts import CONTROL
from .lines import Line
from .statistics import Difference

LONG = ("task", "metric", "selector", "target", "budget", "score", "minus random", "seeds", "n", "rows",
        "answer tokens", "select s", "train s", "evaluate s")  # fmt: skip
TRUTH = ("precision", "precision each", "coverage", "clean", "lookalike", "auc")
CHECKS = ("rho", "margin", "top layer")
WORTH = (
    "What was selected, by the rows' own labels; nothing was trained or evaluated. "
    "rho: of the score with token length."
)


def wide(lines: Sequence[Line], *, form: str) -> str:
    """One row a method, target and budget; one column a task; then ground truth, checks and seconds."""
    header, body = wide_cells(lines)
    return _tabulate(body, header, form)


def wide_cells(lines: Sequence[Line]) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    tasks = sorted({line.task for line in lines if line.task})
    known = [name for name in TRUTH if any(name in line.truth for line in lines)]
    asked = CHECKS[:1] if tasks else CHECKS
    checked = [name for name in asked if any(name in line.checks for line in lines)]
    phases = ["select s", "train s", "eval s"] if tasks else ["select s"]
    header = ["selector", "target", "budget", "seeds", *tasks, *known, *checked, *phases]
    body: list[list[object]] = []
    for group in _methods(lines):
        first, cells = group[0], {line.task: score(line) for line in group}
        truth = [f"{first.truth[name]:.2f}" if name in first.truth else "" for name in known]
        checks = [f"{first.checks[name]:.2f}" if name in first.checks else "" for name in checked]
        seconds = [first.seconds_select, first.seconds_train, first.seconds_evaluate][: len(phases)]
        body.append([first.selector, first.target, first.budget, first.seeds, *(cells.get(t, "") for t in tasks),
                     *truth, *checks, *(f"{value:.1f}" for value in seconds)])  # fmt: skip
    return header, body


def differences(lines: Sequence[Line], *, form: str, control: str = CONTROL) -> str:
    """The same rows and columns, each cell the difference to the control with its interval; empty without one."""
    header, body = difference_cells(lines, control=control)
    return _tabulate(body, header, form) if body else ""


def difference_cells(
    lines: Sequence[Line], *, control: str = CONTROL
) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    compared = [line for line in lines if line.difference]
    tasks = sorted({line.task for line in compared})
    body: list[list[object]] = []
    for group in _methods(compared):
        cells = {line.task: difference(line.difference) for line in group if line.difference}
        first = group[0]
        body.append([first.selector, first.target, first.budget, *(cells.get(task, "") for task in tasks)])
    return [f"minus {control}", "target", "budget", *tasks], body


def long(lines: Sequence[Line], *, form: str, control: str = CONTROL) -> str:
    """One row a task and method, everything beside it; empty where nothing was evaluated."""
    header, body = long_cells(lines, control=control)
    return _tabulate(body, header, form) if body else ""


def long_cells(lines: Sequence[Line], *, control: str = CONTROL) -> tuple[list[str], list[list[object]]]:
    """Header and body of that table."""
    body: list[list[object]] = []
    for line in lines:
        if not line.task:
            continue
        compared = difference(line.difference) if line.difference else ""
        seconds = (line.seconds_select, line.seconds_train, line.seconds_evaluate)
        named = [line.task, line.metric, line.selector, line.target, line.budget, score(line), compared]
        counted = [line.seeds, line.n, line.selected_rows, line.answer_tokens]
        body.append([*named, *counted, *(f"{value:.1f}" for value in seconds)])
    return [name.replace(CONTROL, control) for name in LONG], body


def _methods(lines: Sequence[Line]) -> list[list[Line]]:
    """The lines of each method, target and budget; by target, then by mean value, best first."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault((line.model, line.target, line.budget, line.selector), []).append(line)

    def place(group: list[Line]) -> tuple[str, str, str, float, float]:
        first = group[0]
        mean = sum(line.value for line in group) / len(group)
        return first.model, first.target, first.budget, -mean, -first.truth.get("precision", 0.0)

    return sorted(groups.values(), key=place)


def _tabulate(body: Sequence[Sequence[object]], header: Sequence[str], form: str) -> str:
    from tabulate import tabulate

    return str(tabulate(body, headers=header, tablefmt=form, disable_numparse=True))


def score(line: Line) -> str:
    """The mean and half of its 95 % interval."""
    return f"{line.value:.3f}" + (f" ± {line.half_width:.3f}" if line.half_width is not None else "")


def difference(found: Difference) -> str:
    """The difference and its interval; one that is not significant is called what it is."""
    said = f"{found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    return said if found.significant else f"{said} n.s."


def notes(lines: Sequence[Line], *, control: str = CONTROL) -> list[str]:
    """What a reader must know beside the numbers."""
    if not any(line.task for line in lines):
        return [WORTH] if any(line.truth for line in lines) else []
    said = ["score ± half of the 95 % interval, over items and seeds."]
    compared = [line.difference for line in lines if line.difference]
    if compared:
        said.append(
            f"minus {control}: paired by item and seed, [95 % interval over items and seeds]; n.s.: the interval "
            f"holds 0, or p >= 0.05 after Holm's correction for the table's {len(compared)} differences."
        )
        said.append(detectable(lines))
    elif lines:
        said.append(f"No {control} control is in this table: run selector={control} beside it.")
    if lines and max(line.seeds for line in lines) < 3:
        said.append("Fewer than three seeds: differences between methods are not established.")
    missing = sorted({f"{line.task} lacks {line.missing}" for line in lines if line.missing})
    return said + [f"Partial: {text}." for text in missing]


def detectable(lines: Sequence[Line]) -> str:
    """What these items and seeds could find at all: the median over methods of each task."""
    tasks: dict[str, list[float]] = {}
    for line in lines:
        if line.difference:
            tasks.setdefault(line.task, []).append(line.difference.detectable)
    shown = ", ".join(f"{task} {median(values):.3f}" for task, values in sorted(tasks.items()))
    return f"Smallest difference found with power 0.8, before correction: {shown}."
