"""What a method's scores predict of a subset, and how much of the ground truth its ranking recalls.

Shapes: N rows, R subsets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.ranking.orders import (
    BestRank,
    EqualQuota,
    FromQuantile,
    Highest,
    Lowest,
    MeanZScore,
    Middle,
    Ranking,
    RoundRobin,
    by_target,
)
from nait.core.ranking.score_table import ScoreTable
from nait.sweeps.stats.target_benchmarks import Benchmarks, belongs

Floats = npt.NDArray[np.float64]
ORDERS: Mapping[str, Callable[..., Callable[[ScoreTable], Ranking]]] = {
    one.__name__: one
    for one in (BestRank, EqualQuota, FromQuantile, Highest, Lowest, MeanZScore, Middle, RoundRobin)
}
ADDITIVE = ("BestRank", "EqualQuota", "Highest", "MeanZScore", "RoundRobin")
"""Orders that rank a single column by its value, highest first."""


@dataclass(frozen=True)
class Worth:
    """What a method predicts of each row [N]. A subset's prediction is the sum over its rows.

    `by_rank`: the worth is minus the row's rank under the method's order, because sums of its scores have no meaning;
    a subset's prediction is then the mean.
    `unscored`: the number of rows without a score, which have the lowest worth. `ranking`: row numbers, best first.
    """

    values: Floats
    by_rank: bool
    unscored: int
    ranking: Ranking

    def of(self, subsets: Sequence[npt.NDArray[np.int64]]) -> Floats:
        """The predictions [R] of subsets, each given by its row numbers."""
        combined = np.mean if self.by_rank else np.sum
        return np.array([combined(self.values[rows]) for rows in subsets], dtype=np.float64)

    def shuffled(self, seed: int) -> Worth:
        """The same values at random rows: the control."""
        order = np.random.default_rng(seed).permutation(len(self.values))
        return Worth(self.values[order], self.by_rank, self.unscored, self.ranking)


def order_of(config: Mapping[str, Any]) -> Callable[[ScoreTable], Ranking] | None:
    """The order that a stored config describes; None for an order from another package."""
    name = str(config.get("_target_", "")).rsplit(".", 1)[-1]
    options = {key: value for key, value in config.items() if key != "_target_"}
    return ORDERS[name](**options) if name in ORDERS else None


def columns_for(table: ScoreTable, task: str, benchmarks: Benchmarks) -> list[int]:
    """The columns of the target that the benchmark belongs to; all columns where it belongs to none."""
    groups = by_target(table.targets)
    own = [
        column
        for name, found in groups.items()
        if belongs(name, task, benchmarks, groups)
        for column in found
    ]
    return own or list(range(len(table.targets)))


def worth_of(table: ScoreTable, order: Callable[[ScoreTable], Ranking], columns: Sequence[int]) -> Worth:
    """The worth of each row for these columns of a score table, under the method's order.

    The scores themselves where one column is ranked by its value; else minus the ranks.
    """
    part = _part(table, columns)
    name = type(order).__name__
    single = len(columns) == 1 and name in (*ADDITIVE, "Lowest")
    ranking = (Lowest() if name == "Lowest" else Highest())(part) if single else order(part)
    values = (
        part.values[:, 0] * (-1.0 if name == "Lowest" else 1.0)
        if single
        else _minus_ranks(ranking, len(part.ids))
    )
    missing = np.isnan(values)
    lowest = float(np.nanmin(values)) if not missing.all() else 0.0
    return Worth(
        np.where(missing, lowest, values).astype(np.float64), not single, int(missing.sum()), ranking
    )


def _part(table: ScoreTable, columns: Sequence[int]) -> ScoreTable:
    names = tuple(table.targets[column] for column in columns)
    return ScoreTable(table.ids, names, table.values[:, list(columns)], table.unit, table.definition)


def _minus_ranks(ranking: Ranking, count: int) -> Floats:
    values = np.full(count, np.nan)
    values[ranking] = -np.arange(len(ranking), dtype=np.float64)
    return values


def recall(ranking: Ranking, relevant: npt.NDArray[np.bool_]) -> float | None:
    """Recall@k: the share of the k relevant rows that are among the ranking's first k; None without any."""
    count = int(relevant.sum())
    return float(relevant[ranking[:count]].sum() / count) if count else None
