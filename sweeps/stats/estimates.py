"""Estimates of each line's score and its difference to the control. Seed variances are pooled over a column."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

from nait.core.statistics.results import Row
from nait.core.statistics.significance import SeedVariance
from nait.sweeps.stats.contrasts import Items, against, by_seed, controls, strata
from nait.sweeps.stats.paired import Difference, Stratum, estimate
from nait.sweeps.stats.seed_spread import column, moderate

Key = tuple[str, ...]
Runs = tuple[tuple[int, str], ...]
"""Seed and evaluation of a line's runs: lines with the same runs are one method under several names."""
Column = tuple[tuple[str, str, str], Hashable]
"""(model, task, metric), and the key that the column's lines share."""
Columns = dict[Column, list[Key]]


def scores(
    groups: Mapping[Key, Sequence[Row]], items: Items, shares: frozenset[Key] = frozenset()
) -> dict[Key, Difference]:
    """Each line's score. A seed effect that all lines of a column share is treated as the control's.

    `shares`: the lines whose score is a share of items.
    """
    rows = {key: _distinct(group) for key, group in groups.items()}
    found = {key: part for key, one in rows.items() if (part := strata([(1.0, one)], items))}
    runs = {key: _runs(rows[key]) for key in found}
    columns: Columns = {}
    for key in found:
        columns.setdefault((_place(groups[key]), tuple(sorted(rows[key]))), []).append(key)
    return _estimated(found, columns, runs, frozenset(), shares=shares)


def differences(
    groups: Mapping[Key, Sequence[Row]], rows: Sequence[Row], items: Items, control: str
) -> dict[Key, Difference]:
    """Each line's difference to its control. A column holds the lines that share as many seeds with one control."""
    found: dict[Key, list[Stratum]] = {}
    runs: dict[Key, Runs] = {}
    columns: Columns = {}
    for key, group in groups.items():
        control_rows = controls(group, rows, control)
        part = against(group, control_rows, items)
        if part:
            found[key], runs[key] = part, _runs(by_seed(group))
            columns.setdefault((_place(group), (len(part[0].d_si), _runs(by_seed(control_rows)))), []).append(
                key
            )
    fixed = frozenset(key for key in found if len({evaluation for _, evaluation in runs[key]}) == 1)
    estimates = _estimated(found, columns, runs, fixed)
    return {
        key: replace(one, higher_is_better=groups[key][0].higher_is_better) for key, one in estimates.items()
    }


def _estimated(
    found: Mapping[Key, Sequence[Stratum]],
    columns: Columns,
    runs: Mapping[Key, Runs],
    fixed: frozenset[Key],
    *,
    shares: frozenset[Key] = frozenset(),
) -> dict[Key, Difference]:
    """The estimates, with seed variances from each column."""
    by_column: dict[Column, dict[Key, tuple[SeedVariance, ...]]] = {}
    for name, keys in columns.items():
        once = {runs[key]: key for key in reversed(keys)}  # a method under several names counts once
        sides = column({key: found[key] for key in once.values()}, fixed)
        by_column[name] = {key: sides[once[runs[key]]] for key in keys}
    return {
        key: estimate(found[key], sides=_moderated(name, key, by_column), shares=key in shares)
        for name, sides in by_column.items()
        for key in sides
    }


def _moderated(
    name: Column, key: Key, by_column: Mapping[Column, Mapping[Key, tuple[SeedVariance, ...]]]
) -> tuple[SeedVariance, ...]:
    """A line's seed variances. A single unpooled variance is moderated by columns with other controls."""
    sides = by_column[name][key]
    if len(sides) != 1 or not sides[0].kept:
        return sides
    others = [
        one[0]
        for other, lines in by_column.items()
        if other != name and other[0] == name[0]
        for one in lines.values()
        if len(one) == 1 and one[0].kept and one[0].freedom == sides[0].freedom
    ]
    return (moderate(sides[0], others),)


def _place(group: Sequence[Row]) -> tuple[str, str, str]:
    first = group[0]
    return f"{first.table} {first.model}", first.task, first.metric


def _runs(rows: Mapping[int, Row]) -> Runs:
    return tuple(sorted((seed, row.evaluation) for seed, row in rows.items()))


def _distinct(group: Iterable[Row]) -> dict[int, Row]:
    """The group by seed; of seeds with the same evaluation, only the first."""
    first: dict[str, int] = {}
    found = by_seed(group)
    return {seed: row for seed, row in found.items() if first.setdefault(row.evaluation, seed) == seed}
