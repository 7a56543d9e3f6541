"""Curves: a score against a setting that was varied in numbers, and quality against cost."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from .contrasts import TARGETLESS
from .lines import Line, short

BUDGET = "budget"
DIGESTS = ("pool", "pool content", "reference")
"""Settings that name content: what looks like a number there is none."""
LEAST = 3
"""Fewer points than this are no curve."""
MOST_PANELS = 6
MOST_LINES = 8
_NUMBER = re.compile(r"^\[?\s*(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%| rows| tokens)?\s*\]?$")


@dataclass(frozen=True)
class Point:
    """A place on a curve with half of its 95 % interval, None where unknown."""

    x: float
    y: float
    half_width: float | None


@dataclass(frozen=True)
class Curve:
    """One method at several values of a setting. `level`: a method that was not varied, across the panel."""

    name: str
    points: tuple[Point, ...]
    level: bool = False


@dataclass(frozen=True)
class Panel:
    """What was measured (`y`) against what was varied (`x`)."""

    x: str
    y: str
    curves: tuple[Curve, ...]


def number(text: str) -> float | None:
    """The one number a setting stands for (`0.1`, `[3]`, `10%`), or None."""
    found = _NUMBER.match(text)
    return float(found.group(1)) if found else None


def unit(text: str) -> str:
    """What a budget counts: "%", " rows" or " tokens"."""
    found = _NUMBER.match(text)
    return (found.group(2) or "") if found else ""


def varied(line: Line) -> dict[str, str]:
    """What may stand on an x axis: the budget and the settings in which runs of the method differ."""
    settings = {key: value for key, value in line.settings.items() if key not in DIGESTS}
    return {**settings, BUDGET: line.budget}


def panels(lines: Sequence[Line]) -> list[Panel]:
    """One panel a varied setting and benchmark; nothing where nothing was varied in three steps."""
    found = []
    for x in sorted({key for line in lines for key in varied(line)}, key=lambda key: (key != BUDGET, key)):
        for y, measured in _measures(lines).items():
            curves = _curves(measured, x)
            if curves:
                shown = f"budget ({unit(measured[0].budget).strip() or 'number'})" if x == BUDGET else x
                found.append(Panel(shown, y, tuple(curves)))
    return found


def _measures(lines: Sequence[Line]) -> dict[str, list[Line]]:
    """What was measured -> its lines: benchmarks asked for, groups first; else what was selected."""
    tasks = sorted({(not line.members, line.task) for line in lines if line.headline and line.task})
    if tasks:
        return {task: [line for line in lines if line.task == task] for _, task in tasks[:MOST_PANELS]}
    known = [name for name in ("precision", "auc", "coverage") if any(name in line.truth for line in lines)]
    return {
        name: [replace(one, value=one.truth[name], half_width=None) for one in lines if name in one.truth]
        for name in known
    }


def _curves(lines: Sequence[Line], x: str) -> list[Curve]:
    """The methods' curves over `x`, and the levels of those that were not varied by it."""
    groups: dict[tuple[str, ...], list[Line]] = {}
    for line in lines:
        rest = [f"{key}={value}" for key, value in sorted(varied(line).items()) if key != x]
        name = " ".join([line.method, *(word for word in rest if not word.startswith(f"{BUDGET}="))])
        target = "" if line.method in TARGETLESS else line.target
        groups.setdefault((line.model, name, target, " ".join(rest)), []).append(line)
    targets = {target for _, _, target, _ in groups if target}
    curves = [
        Curve(_name(name, target, targets), points)
        for (_, name, target, _), group in groups.items()
        if len(points := _points(group, x)) >= LEAST
    ]
    if not curves:
        return []
    curves.sort(key=lambda curve: (curve.name in TARGETLESS, curve.name))
    levels = [
        _level(group) for (_, name, _, _), group in groups.items() if name in TARGETLESS and x != BUDGET
    ]
    return [*curves, *_distinct(levels)][:MOST_LINES]


def _name(name: str, target: str, targets: set[str]) -> str:
    return f"{name}, {short(target)}" if target and len(targets) > 1 else name


def _points(lines: Sequence[Line], x: str) -> tuple[Point, ...]:
    found: dict[float, Point] = {}
    for line in lines:
        place = number(varied(line).get(x, ""))
        if place is not None:
            found.setdefault(place, Point(place, line.value, line.half_width))
    return tuple(found[place] for place in sorted(found))


def _level(lines: Sequence[Line]) -> Curve:
    return Curve(lines[0].method, (Point(0.0, lines[0].value, lines[0].half_width),), level=True)


def _distinct(levels: Sequence[Curve]) -> list[Curve]:
    """One level a method: the first."""
    return list({level.name: level for level in reversed(levels)}.values())


@dataclass(frozen=True)
class Spot:
    """A method's cost and quality: seconds of selection and training, the score, half of its interval.

    `where`: its target, or its budget where there is one target alone.
    """

    method: str
    where: str
    seconds: float
    y: float
    half_width: float | None


def costs(lines: Sequence[Line]) -> dict[str, list[Spot]]:
    """Benchmark -> every method's cost and quality there: of a group's mean, if there is one, else of two tasks.

    A method's settings are told apart as long as there are no more than `MOST_LINES` of them.
    """
    tasks = sorted({(not line.members, line.task) for line in lines if line.headline and line.task})
    found = {}
    targets = {line.target for line in lines if line.method not in TARGETLESS}
    few = len({line.selector for line in lines}) <= MOST_LINES
    for _, task in tasks[: 2 if tasks and tasks[0][0] else 1]:
        spots = [
            Spot(
                line.selector if few else line.method,
                _where(line, targets),
                seconds,
                line.value,
                line.half_width,
            )
            for line in _once(line for line in lines if line.task == task)
            if (seconds := line.seconds_select + line.seconds_train) > 0
        ]
        if len({spot.method for spot in spots}) > 1:
            found[task] = spots
    return found


def _once(lines: Iterable[Line]) -> list[Line]:
    """Without a targetless method's repetitions for other targets."""
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        target = "" if line.method in TARGETLESS else line.target
        found.setdefault((line.selector, target, line.budget), line)
    return list(found.values())


def _where(line: Line, targets: set[str]) -> str:
    if len(targets) < 2:
        return line.budget
    return "" if line.method in TARGETLESS else short(line.target)
