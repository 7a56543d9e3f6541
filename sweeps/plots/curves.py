"""Score curves over numeric settings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from nait.sweeps.grouping.names import CONTENT, brief, some, target_labels
from nait.sweeps.stats.aggregates import Line, marked
from nait.sweeps.stats.target_benchmarks import Benchmarks, owned
from nait.sweeps.stored_runs.method_names import TARGETLESS

BUDGET = "budget"
DIGESTS = ("pool", "run", *CONTENT)
"""Settings that hold digests, which may look like numbers."""
ROWS, DRAW = "reference rows", "reference"
"""The number of reference rows, and the digest of these rows, which every number of them has another of."""
LEAST = 3
"""Minimum number of points of a curve."""
MOST_PANELS = 6
MOST_LINES = 8
_NUMBER = re.compile(r"^\[?\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%| rows| tokens)?\s*\]?$")


@dataclass(frozen=True)
class CurvePoint:
    """A point with half its 95 % interval, None where unknown. `share`: the score is a share of items."""

    x: float
    y: float
    half_width: float | None
    share: bool = False

    @property
    def band(self) -> tuple[float, float]:
        """The ends of the interval as drawn."""
        return band(self.y, self.half_width, share=self.share)


@dataclass(frozen=True)
class Curve:
    """One method at several values of a setting. `level`: a method without that setting, as a horizontal line.

    `items_only`: some point has one seed, so its interval is over items only. `averaged`: the most lines of which a
    point is the mean: draws of the reference rows; such a point has no interval. `about`: the settings of a curve
    whose name does not show them.
    """

    name: str
    about: str
    points: tuple[CurvePoint, ...]
    level: bool = False
    items_only: bool = False
    averaged: int = 1


@dataclass(frozen=True)
class Panel:
    """The curves of a measure `y` over a setting `x`, and the panel's title.

    `left_out`: the number of curves beyond `MOST_LINES`.
    """

    x: str
    y: str
    title: str
    curves: tuple[Curve, ...]
    left_out: int = 0


def band(y: float, half_width: float | None, *, share: bool) -> tuple[float, float]:
    """The ends of an interval, clipped to [0, 1] for a share."""
    low, high = y - (half_width or 0.0), y + (half_width or 0.0)
    return (max(0.0, low), min(1.0, high)) if share else (low, high)


def number(text: str) -> float | None:
    """The number in a setting (`0.1`, `[3]`, `10%`), or None."""
    found = _NUMBER.match(text)
    return float(found.group(1)) if found else None


def unit(text: str) -> str:
    """The unit of a budget: "%", " rows" or " tokens"."""
    found = _NUMBER.match(text)
    return (found.group(2) or "") if found else ""


def varied(line: Line) -> dict[str, str]:
    """Candidates for an x axis: the budget and the settings in which runs of the method differ."""
    settings = {key: value for key, value in line.settings.items() if key not in DIGESTS}
    return {**settings, BUDGET: line.budget}


def panels(lines: Sequence[Line], benchmarks: Benchmarks) -> list[Panel]:
    """One panel per varied setting and benchmark; empty without a setting of three values or more."""
    found = []
    for x in sorted({key for line in lines for key in varied(line)}, key=lambda key: (key != BUDGET, key)):
        for y, measured in _measures(lines, benchmarks).items():
            for shown, comparable in _axes(measured, x).items():
                curves = _curves(comparable, x)
                if curves:
                    kept = _kept(curves)
                    title = marked(y, comparable)
                    found.append(Panel(shown, y, title, kept, left_out=len(curves) - len(kept)))
    return found


def _kept(curves: Sequence[Curve]) -> tuple[Curve, ...]:
    """At most `MOST_LINES` curves, references and control among them."""
    references = [one for one in curves if one.level or one.name.partition(", ")[0] in TARGETLESS]
    methods = [one for one in curves if one not in references]
    return (*methods[: max(0, MOST_LINES - len(references))], *references)


def left_out(lines: Sequence[Line], found: Sequence[Panel]) -> list[str]:
    """Notes on the benchmarks and curves that the panels leave out, on curves of means, and on names."""
    tasks = sorted({line.task for line in lines if line.headline and line.task} - {one.y for one in found})
    notes = [f"{len(tasks)} more benchmarks have no panel: {some(tasks)}."] if len(tasks) and found else []
    counts = {one.x: one.left_out for one in found if one.left_out}
    means = {
        f"{one.x}: {curve.name}": curve.averaged
        for one in found
        for curve in one.curves
        if curve.averaged > 1
    }
    return [
        *notes,
        *(f"{x}: {count} more curves are not drawn." for x, count in counts.items()),
        *(
            f"{name} is the mean of up to {count} lines at a point, without an interval."
            for name, count in means.items()
        ),
        *dict.fromkeys(
            f"{curve.name}: {curve.about}." for one in found for curve in one.curves if curve.about
        ),
    ]


def _axes(lines: Sequence[Line], x: str) -> dict[str, list[Line]]:
    """Axis name -> its lines. Budgets in shares, rows and tokens have separate axes.

    A reference, which does not depend on the budget, appears on each.
    """
    if x != BUDGET:
        return {x: list(lines)}
    units = sorted({unit(line.budget) for line in lines if not line.budgetless})
    return {
        f"budget ({one.strip() or 'number'})": [
            line for line in lines if line.budgetless or unit(line.budget) == one
        ]
        for one in units
    }


def _measures(lines: Sequence[Line], benchmarks: Benchmarks) -> dict[str, list[Line]]:
    """Measure -> its lines: own benchmarks, then groups, then other tasks; without evaluations, ground truth."""
    own = {task for target in {line.target for line in lines} for task in owned(target, lines, benchmarks)}
    found = {
        (line.task not in own, not line.members, line.task) for line in lines if line.headline and line.task
    }
    if found:
        return {task: [one for one in lines if one.task == task] for *_, task in sorted(found)[:MOST_PANELS]}
    known = [name for name in ("precision", "auc", "coverage") if any(name in line.truth for line in lines)]
    return {
        name: [replace(one, value=one.truth[name], half_width=None) for one in lines if name in one.truth]
        for name in known
    }


Group = tuple[str, str, str, tuple[tuple[str, str], ...], str]
"""The lines of a curve: method, target, budget, all settings but that of the axis, and how they write that one."""


def _curves(lines: Sequence[Line], x: str) -> list[Curve]:
    """The curves of the methods over `x`, and horizontal lines for references. Other settings are other curves."""
    groups: dict[Group, list[Line]] = {}
    for line in lines:
        groups.setdefault(_group(line, x), []).append(line)
    drawn = {key: points for key, group in groups.items() if len(points := _points(group, x)) >= LEAST}
    budgets = {budget for _, _, budget, _, _ in drawn}
    levels = [
        key
        for key, group in groups.items()
        if drawn and key[0] in TARGETLESS and not (key[3] or key[4])
        and (group[0].budgetless or (key[2] in budgets and x != BUDGET))
    ]  # fmt: skip
    targets = target_labels(target for _, target, *_ in groups if target)
    named = _named([*drawn, *levels], targets, several_budgets=len(budgets) > 1)
    curves = [
        Curve(
            *named[key],
            points,
            items_only=any(items_only(at) for at in _by_place(groups[key], x).values() if len(at) == 1),
            averaged=max(map(len, _by_place(groups[key], x).values())),
        )
        for key, points in drawn.items()
    ]
    curves.sort(key=lambda curve: (curve.name in TARGETLESS, curve.name))
    return [*curves, *(_level(*named[key], groups[key]) for key in levels)]


def _group(line: Line, x: str) -> Group:
    """The curve of a line over `x`. Draws of the reference rows are one curve over the number of rows."""
    same = (x, DRAW) if x == ROWS else (x,)
    settings = tuple(sorted((key, value) for key, value in line.settings.items() if key not in same))
    target = "" if line.method in TARGETLESS else line.target
    budget = "" if x == BUDGET or line.budgetless else line.budget
    return line.method, target, budget, settings, _form(varied(line).get(x, ""))


def _form(text: str) -> str:
    """How a number is written: `[3]` and `3` are two settings of one number, and so are `0.1` and `0.10`."""
    found = _NUMBER.match(text)
    if found is None:
        return ""
    usual = found.group(1) == f"{float(found.group(1)):.15g}"
    return text.replace(found.group(1), "number", 1) if usual else text


def _named(
    groups: Sequence[Group], targets: Mapping[str, str], *, several_budgets: bool
) -> dict[Group, tuple[str, str]]:
    """The name of each curve, and its settings where the name does not tell it from another."""
    names = {}
    for key in sorted(groups):
        method, target, budget, settings, _ = key
        name = " ".join([method, *(f"{name}={brief(name, value)}" for name, value in settings)])
        of_target = targets[target] if target and len(targets) > 1 else ""
        names[key] = ", ".join(filter(None, [name, of_target, budget if several_budgets else ""]))
    counts = Counter(names.values())
    numbers: Counter[str] = Counter()
    found = {}
    for key, name in names.items():
        if counts[name] < 2:
            found[key] = (name, "")
            continue
        numbers[name] += 1
        about = [f"{setting}={value}" for setting, value in key[3]]
        written = [f"{key[4]} on the axis"] if sum(other[:4] == key[:4] for other in names) > 1 else []
        found[key] = (f"{name}, settings {numbers[name]}", ", ".join([*about, *written]))
    return found


def items_only(lines: Sequence[Line]) -> bool:
    return any(one.seeds == 1 and one.half_width is not None for one in lines)


def _by_place(lines: Sequence[Line], x: str) -> dict[float, list[Line]]:
    """Place on the axis -> the lines there. Of a method that reads no target, the line of most seeds."""
    found: dict[float, list[Line]] = {}
    for line in lines:
        place = None if x == BUDGET and line.budgetless else number(varied(line).get(x, ""))
        if place is not None:
            found.setdefault(place, []).append(line)
    return {place: [_fullest(at)] if at[0].method in TARGETLESS else at for place, at in found.items()}


def _fullest(lines: Sequence[Line]) -> Line:
    """The line of most seeds, whatever the target that its runs name."""
    return min(lines, key=lambda line: (-line.seeds, line.target))


def _points(lines: Sequence[Line], x: str) -> tuple[CurvePoint, ...]:
    """The points of a curve. Several draws of the reference rows at one place give their mean."""
    found = []
    for place, at in sorted(_by_place(lines, x).items()):
        half_width = at[0].half_width if len(at) == 1 else None
        found.append(CurvePoint(place, fmean(line.value for line in at), half_width, at[0].share))
    return tuple(found)


def _level(name: str, about: str, lines: Sequence[Line]) -> Curve:
    line = _fullest(lines)
    point = CurvePoint(0.0, line.value, line.half_width, line.share)
    return Curve(name, about, (point,), level=True, items_only=items_only([line]))
