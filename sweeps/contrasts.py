"""Contrasts: weighted sums of methods' scores, paired by seed and item, and which run is whose control.

A group's mean is split into its tasks: each is a stratum, whose items are drawn for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nait.core.results import Row

from .statistics import Difference, Outcomes, Stratum, estimate, paired

CONTROL = "random"
BASE = "base (not trained)"
TARGETLESS = (CONTROL, "full", BASE)
"""Methods that no target changes: one of any target stands for all."""
Items = Mapping[tuple[str, str, str], Outcomes]
"""(evaluation, task, metric as shown) -> a run's items."""
Term = tuple[float, Mapping[int, Row]]
"""A weight, and a method's rows on one task by seed."""


def metric_name(metric: str, filter_name: str) -> str:
    """The metric as a table shows it: with its filter where it has one."""
    return f"{metric} ({filter_name})" if filter_name not in ("", "none") else metric


def places(row: Row) -> list[tuple[tuple[str, str, str], float]]:
    """Where a row's items are, with the weight of each: its own, or those of a group's tasks."""
    if not row.members:
        return [((row.evaluation, row.task, row.metric), 1.0)]
    return [
        ((row.evaluation, member.task, metric_name(member.metric, member.filter)), member.weight)
        for member in row.members
    ]


def strata(terms: Sequence[Term], items: Items, *, weight: float = 1.0) -> list[Stratum] | None:
    """The contrast of these terms on one task, all seeds shared; None where any of it has no items.

    `weight`: of the task in a larger contrast.
    """
    seeds = sorted(set.intersection(*(set(rows) for _, rows in terms)))
    if not seeds:
        return None
    spots = {id(rows): {seed: places(rows[seed]) for seed in seeds} for _, rows in terms}
    count = len(places(next(iter(terms[0][1].values()))))
    found = []
    for k in range(count):
        parts: list[tuple[float, Mapping[int, Outcomes]]] = []
        for sign, rows in terms:
            runs = {seed: spots[id(rows)][seed] for seed in seeds}
            if any(len(spot) != count or spot[k][0] not in items for spot in runs.values()):
                return None
            parts.append((sign, {seed: items[spot[k][0]] for seed, spot in runs.items()}))
        d_si = paired(parts)
        if d_si is None:
            return None
        found.append(Stratum(weight * places(terms[0][1][seeds[0]])[k][1], d_si))
    return found


def between(ours: Sequence[Row], theirs: Sequence[Row], items: Items) -> Difference | None:
    """The mean difference between two methods on one task; None where they share no seed or item."""
    found = against(ours, theirs, items)
    return estimate(found) if found else None


def against(ours: Sequence[Row], theirs: Sequence[Row], items: Items) -> list[Stratum] | None:
    """The paired outcomes of that difference."""
    if not ours or not theirs:
        return None
    return strata([(1.0, by_seed(ours)), (-1.0, by_seed(theirs))], items)


def by_seed(rows: Iterable[Row]) -> dict[int, Row]:
    """A method's rows on one task; the first of a seed."""
    found: dict[int, Row] = {}
    for row in rows:
        found.setdefault(row.seed, row)
    return found


def controls(group: Sequence[Row], rows: Iterable[Row], control: str = CONTROL) -> list[Row]:
    """The control's rows for a group: same model, task, metric and budget, no setting that contradicts.

    Of one seed, the row with the group's own target; a method that no target changes may lend another target's.
    """
    first = group[0]
    if control in (first.selector, first.method):
        return []
    fit = [row for row in rows if control in (row.selector, row.method) and _comparable(row, first)]
    own = [row for row in fit if row.target == first.target]
    lent = [row for row in fit if row.target != first.target] if control in TARGETLESS else []
    return list(by_seed([*own, *sorted(lent, key=lambda row: row.target)]).values())


def _comparable(row: Row, other: Row) -> bool:
    same = ("model", "task", "metric", "budget")
    if any(getattr(row, name) != getattr(other, name) for name in same):
        return False
    shared = set(row.conditions) & set(other.conditions)
    return all(row.conditions[name] == other.conditions[name] for name in shared)
