"""Contrasts: weighted sums of scores paired by seed and item, and the choice of each line's control.

The mean of a group is split into its tasks. Each task is a stratum with its own sample of items.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nait.core.errors import StoreError
from nait.core.statistics.results import Row
from nait.sweeps.stats.paired import Difference, Outcomes, Stratum, estimate, paired
from nait.sweeps.stored_runs.method_names import BASE, CONTROL, TARGETLESS
from nait.sweeps.stored_runs.row_items import places

Items = Mapping[tuple[str, str, str], Outcomes]
"""(evaluation, task, displayed metric) -> item outcomes of a run."""
Term = tuple[float, Mapping[int, Row]]
"""A weight and the rows of a method on one task, by seed."""


def strata(terms: Sequence[Term], items: Items, *, weight: float = 1.0) -> list[Stratum] | None:
    """The contrast of these terms on one task over their shared seeds; None where items are missing.

    `weight`: the task's weight in a contrast over several tasks.
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
        first = terms[0][1][seeds[0]]
        found.append(Stratum(weight * places(first)[k][1], d_si, _bounded(first, parts)))
    return found


def _bounded(row: Row, parts: Sequence[tuple[float, Mapping[int, Outcomes]]]) -> bool:
    """Whether outcomes are scores from 0 to 1. A metric that is better when lower is one only if all are 0 or 1."""
    runs = [outcomes.values() for _, by_run in parts for outcomes in by_run.values() if outcomes]
    if not row.higher_is_better:
        return all(set(values) <= {0.0, 1.0} for values in runs)
    return all(min(values) >= 0.0 and max(values) <= 1.0 for values in runs)


def between(ours: Sequence[Row], theirs: Sequence[Row], items: Items) -> Difference | None:
    """The mean difference between two methods on one task; None without a shared seed or item."""
    found = against(ours, theirs, items)
    return estimate(found) if found else None


def against(ours: Sequence[Row], theirs: Sequence[Row], items: Items) -> list[Stratum] | None:
    """The paired differences between two methods on one task, None without a shared seed or item."""
    if not ours or not theirs:
        return None
    mine, other = by_seed(ours), by_seed(theirs)
    return strata([(1.0, _at_seeds_of(mine, other)), (-1.0, _at_seeds_of(other, mine))], items)


def _at_seeds_of(rows: Mapping[int, Row], others: Mapping[int, Row]) -> Mapping[int, Row]:
    """A method's rows by seed; the untrained model is repeated at every seed of the others."""
    first = next(iter(rows.values()))
    return dict.fromkeys(others, first) if first.method == BASE else rows


def by_seed(rows: Iterable[Row]) -> dict[int, Row]:
    """Seed -> a method's row on one task. Raises: StoreError for two different results of one seed."""
    found: dict[int, Row] = {}
    for row in rows:
        other = found.setdefault(row.seed, row)
        if other.outcome != row.outcome:
            named = ", ".join(filter(None, (row.selector, row.target, row.budget)))
            raise StoreError(
                f"{named}: two results of seed {row.seed} on {row.task}",
                where=f"runs {other.run[:8]} and {row.run[:8]}",
                fix="Put these runs on separate lines: a mean must not include two results of one seed.",
            )
    return found


def controls(group: Sequence[Row], rows: Iterable[Row], control: str = CONTROL) -> list[Row]:
    """The control's rows for a group of rows: one line with the same table, task, metric and budget.

    The line is named `control` or has that method. Of several lines, the one named `control` is taken, else the one
    that shares most seeds. For each seed, the row with the group's own target is preferred; a targetless method may
    use another target's row. A budgetless control matches every budget; a budgetless group is compared only if the
    control has a single budget.
    """
    first = group[0]
    if control in (first.selector, first.method):
        return []
    candidates = [row for row in rows if control in (row.selector, row.method) and _comparable(row, first)]
    if first.budgetless and len({row.budget for row in candidates}) > 1:
        return []
    lines: dict[str, list[Row]] = {}
    for row in candidates:
        lines.setdefault(row.selector, []).append(row)
    seeds = {row.seed for row in group}
    found = [
        _one_row_per_seed(fit, first.target, any_target=_any_target(control, fit)) for fit in lines.values()
    ]

    def fits(line: Sequence[Row]) -> tuple[bool, int]:
        return line[0].selector == control, len(seeds & {row.seed for row in line})

    return max(sorted(filter(None, found), key=lambda line: line[0].selector), key=fits, default=[])


def _any_target(control: str, fit: Sequence[Row]) -> bool:
    return control in TARGETLESS or all(row.targetless for row in fit)


def _one_row_per_seed(fit: Sequence[Row], target: str, *, any_target: bool) -> list[Row]:
    """One row per seed: the target's own, else with `any_target` the first other target's."""
    own = by_seed(row for row in fit if row.target == target)
    others: dict[int, Row] = {}
    for row in sorted(fit, key=lambda row: row.target) if any_target else ():
        others.setdefault(row.seed, row)
    return list({**others, **own}.values())


def _comparable(row: Row, other: Row) -> bool:
    same = ("table", "model", "task", "metric")
    budgets = row.budgetless or other.budgetless or row.budget == other.budget
    return budgets and all(getattr(row, name) == getattr(other, name) for name in same)
