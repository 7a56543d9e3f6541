"""Contrasts: weighted sums of methods' scores, paired by seed and item, and which run is whose control.

A group's mean is split into its tasks: each is a stratum, whose items are drawn for themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nait.core.errors import StoreError
from nait.core.statistics.results import Row
from nait.sweeps.stats.paired import Difference, Outcomes, Stratum, estimate, paired

CONTROL = "random"
BASE = "base (not trained)"
FULL = "full"
TARGETLESS = (CONTROL, FULL, BASE)
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
    mine, other = by_seed(ours), by_seed(theirs)
    return strata([(1.0, _at(mine, other)), (-1.0, _at(other, mine))], items)


def _at(rows: Mapping[int, Row], others: Mapping[int, Row]) -> Mapping[int, Row]:
    """A method's rows by seed; a model that was not trained is the same at every seed of the others."""
    first = next(iter(rows.values()))
    return dict.fromkeys(others, first) if first.method == BASE else rows


def by_seed(rows: Iterable[Row]) -> dict[int, Row]:
    """A method's rows on one task. Raises: StoreError for two results of one seed, which no mean may hide."""
    found: dict[int, Row] = {}
    for row in rows:
        other = found.setdefault(row.seed, row)
        if other.outcome != row.outcome:
            named = ", ".join(filter(None, (row.selector, row.target, row.budget)))
            raise StoreError(
                f"{named}: two results of seed {row.seed} on {row.task}",
                where=f"runs {other.run[:8]} and {row.run[:8]}",
                mend="Give them lines of their own: no mean is taken over two results of one seed.",
            )
    return found


def measurements(rows: Iterable[Row]) -> int:
    """How many distinct results the seeds of these rows came to: seeds that reached the same ones count once."""
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row.seed, set()).add(row.outcome)
    return len(set(map(frozenset, found.values())))


def controls(group: Sequence[Row], rows: Iterable[Row], control: str = CONTROL) -> list[Row]:
    """The control's rows for a group: one line of its table, task, metric and budget, named so or of that method.

    Of several lines, the one named `control`, else the one that shares most seeds. Of one seed, the row with the
    group's own target; a method that no target changes may lend another target's. A method that no budget changes is
    compared at any one budget: as the control at each line's own, held against a control where that has one alone.
    """
    first = group[0]
    if control in (first.selector, first.method):
        return []
    beside = [row for row in rows if control in (row.selector, row.method) and _comparable(row, first)]
    if first.budgetless and len({row.budget for row in beside}) > 1:
        return []
    lines: dict[str, list[Row]] = {}
    for row in beside:
        lines.setdefault(row.selector, []).append(row)
    seeds = {row.seed for row in group}
    found = [_of_one_line(fit, first.target, lends=_lends(control, fit)) for fit in lines.values()]

    def fits(line: Sequence[Row]) -> tuple[bool, int]:
        return line[0].selector == control, len(seeds & {row.seed for row in line})

    return max(sorted(filter(None, found), key=lambda line: line[0].selector), key=fits, default=[])


def _lends(control: str, fit: Sequence[Row]) -> bool:
    return control in TARGETLESS or all(row.targetless for row in fit)


def _of_one_line(fit: Sequence[Row], target: str, *, lends: bool) -> list[Row]:
    """A row a seed: the target's own, else, if the method `lends`, that of the first other target."""
    own = by_seed(row for row in fit if row.target == target)
    lent: dict[int, Row] = {}
    for row in sorted(fit, key=lambda row: row.target) if lends else ():
        lent.setdefault(row.seed, row)
    return list({**lent, **own}.values())


def _comparable(row: Row, other: Row) -> bool:
    same = ("table", "model", "task", "metric")
    budgets = row.budgetless or other.budgetless or row.budget == other.budget
    return budgets and all(getattr(row, name) == getattr(other, name) for name in same)
