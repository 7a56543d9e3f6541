"""Which scores are shares of items, such as accuracy. Their confidence intervals are clipped to [0, 1].

A score is a share when every outcome is 0 or 1. Another score between 0 and 1 (a loss, BLEU, F1) may have other
bounds, so its interval is not clipped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from nait.core.statistics.results import Row
from nait.sweeps.stats.contrasts import Items
from nait.sweeps.stored_runs.row_items import places

Key = tuple[str, ...]
Place = tuple[str, str, str]
NEAR = 1e-6
"""Tolerance for recognising the standard error of a share."""


def shares(groups: Mapping[Key, Sequence[Row]], items: Items) -> frozenset[Key]:
    """The lines whose score is a share of items: every outcome in their column is 0 or 1.

    Without stored outcomes, the standard errors must match those of shares.
    """
    rows = {(row.evaluation, row.task, row.metric): row for group in groups.values() for row in group}
    columns: dict[Place, bool] = {}
    for group in groups.values():
        fits = all(_is_share(place, items, rows) for row in group for place, _ in places(row))
        columns[_column(group)] = columns.get(_column(group), True) and fits
    return frozenset(key for key, group in groups.items() if columns[_column(group)])


def _column(group: Sequence[Row]) -> Place:
    first = group[0]
    return f"{first.table} {first.model}", first.task, first.metric


def _is_share(place: Place, items: Items, rows: Mapping[Place, Row]) -> bool:
    """Whether all outcomes are 0 or 1; without stored outcomes, whether the standard error is that of a share."""
    outcomes = items.get(place)
    if outcomes:
        return set(outcomes.values()) <= {0.0, 1.0}
    row = rows.get(place)
    return row is not None and _has_error_of_share(row)


def _has_error_of_share(row: Row) -> bool:
    """Whether the standard error is that of a share of n items, with divisor n - 1 or n."""
    if row.value is None or row.stderr is None or not 0 <= row.value <= 1 or row.n < 2:
        return False
    variance = row.value * (1 - row.value)
    return any(
        math.isclose(row.stderr, math.sqrt(variance / count), rel_tol=NEAR, abs_tol=NEAR)
        for count in (row.n - 1, row.n)
    )
