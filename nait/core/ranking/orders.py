"""Orders: from a score table to a ranking of its eligible rows (row numbers, best first).

An order is a pure function. Ties break by id, so the order of rows in the file never matters, and a smaller
budget always selects a prefix of a larger one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_intervals
from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_number
from nait.core.ranking.rank_statistics import lowest_first
from nait.core.ranking.score_table import Floats, ScoreTable, id_order

Ranking = npt.NDArray[np.int64]
Value = TypeVar("Value")

THREADS = 4
"""Columns that are processed at a time: numpy releases the GIL when it sorts."""
TURNS = 1024
"""Rows of a queue that are examined together."""


def _one_column(table: ScoreTable, order: str) -> Floats:
    if len(table.targets) != 1:
        raise ConfigError(
            f"order={order} ranks one column, the table has {len(table.targets)}: {', '.join(table.targets)}",
            where="order",
            fix="Use order=best_rank or order=round_robin, or give one target.",
        )
    return table.values[:, 0]


def _ascending(values: Floats, by_id: Ranking) -> Ranking:
    """Finite rows by value, lowest first; ties by id."""
    return by_id[lowest_first(values[by_id])]


def _map_columns(table: ScoreTable, work: Callable[[int], Value]) -> Iterator[Value]:
    """`work(t)` for each column t, in order; at most `THREADS` results are held."""
    columns = range(len(table.targets))
    with ThreadPoolExecutor(THREADS) as threads:
        for start in columns[::THREADS]:
            yield from threads.map(work, columns[start : start + THREADS])


def _rankings(table: ScoreTable, by_id: Ranking) -> Iterator[Ranking]:
    """Each column's finite rows by value, highest first; ties by id."""
    return _map_columns(table, lambda t: by_id[lowest_first(-table.values[by_id, t])])


@dataclass(frozen=True)
class Highest:
    """The largest score first."""

    def __call__(self, table: ScoreTable) -> Ranking:
        return _ascending(-_one_column(table, "highest"), id_order(table.ids))


@dataclass(frozen=True)
class Lowest:
    """The smallest score first."""

    def __call__(self, table: ScoreTable) -> Ranking:
        return _ascending(_one_column(table, "lowest"), id_order(table.ids))


@dataclass(frozen=True)
class Middle:
    """The median first, then outwards: each prefix is the centred middle of its size."""

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(_one_column(table, "middle"), id_order(table.ids))
        places = np.arange(len(ranking))
        distance = np.abs(2 * places - (len(ranking) - 1))
        return ranking[np.lexsort((places, distance))]


@dataclass(frozen=True)
class FromQuantile:
    """Downwards from a quantile: of N eligible rows, highest first, the row at int(q N) comes first.

    The rows above it follow at the end, nearest first, so that every eligible row is ranked and larger budgets
    extend to the nearest rows. `q=0` is `highest`.
    """

    q: float = 0.33

    def __post_init__(self) -> None:
        check_number("order.q", self.q, "[0, 1)", fix="0.33 is published.")

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(-_one_column(table, "from_quantile"), id_order(table.ids))
        start = int(self.q * len(ranking))
        return np.concatenate([ranking[start:], ranking[:start][::-1]])


@dataclass(frozen=True)
class RoundRobin:
    """Each target in turn takes its best row that is not yet taken.

    A target with several columns, one per reference row, uses them in turn; targets have equally many turns.
    """

    def __call__(self, table: ScoreTable) -> Ranking:
        taken = bytearray(len(table.ids))
        queues = [  # int32 halves the memory
            _turns(column.astype(np.int32), taken) for column in _rankings(table, id_order(table.ids))
        ]
        targets = deque(deque(queues[t] for t in columns) for columns in by_target(table.targets).values())
        ranking: list[int] = []
        while targets:
            target = targets.popleft()
            if (row := _next(target)) is not None:
                ranking.append(row)
                targets.append(target)
        return np.array(ranking, dtype=np.int64)


def by_target(names: Sequence[str]) -> dict[str, list[int]]:
    """Target -> the numbers of its columns; a column is named `target` or `target/reference row`."""
    found: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        found.setdefault(name.partition("/")[0], []).append(column)
    return found


def _next(queues: deque[Iterator[int]]) -> int | None:
    """The next free row of the queues in turn; None if all are used up."""
    while queues:
        queue = queues.popleft()
        if (row := next(queue, None)) is not None:
            queues.append(queue)
            return row
    return None


def _turns(column: npt.NDArray[np.int32], taken: bytearray) -> Iterator[int]:
    """The column's next free row at each turn, which it marks in `taken` [N], shared by all columns."""
    flags = np.frombuffer(taken, dtype=np.bool_)
    for start in range(0, len(column), TURNS):
        rows = column[start : start + TURNS]
        for row in rows[~flags[rows]].tolist():
            if not taken[row]:  # by another column, since `flags` was read
                taken[row] = True
                yield row


@dataclass(frozen=True)
class BestRank:
    """By the best rank over all targets: each prefix is a union of the targets' top k."""

    def __call__(self, table: ScoreTable) -> Ranking:
        by_id = id_order(table.ids)
        best = np.full(len(by_id), len(by_id), dtype=np.int32)
        for ranks in _map_columns(table, lambda t: _ranks(table.values[by_id, t])):
            np.minimum(best, ranks, out=best)
        return by_id[lowest_first(np.where(best < len(by_id), best, np.nan))]


@dataclass(frozen=True)
class EqualQuota:
    """Each target fills an equal quota with rows of its own: a row belongs to the target that ranks it best.

    Targets take turns. A target with several columns ranks a row by the best of them. When a target has no row of its
    own left, the others continue.
    """

    def __call__(self, table: ScoreTable) -> Ranking:
        by_id, groups = id_order(table.ids), list(by_target(table.targets).values())
        count = len(by_id)
        best = np.full((len(groups), count), count, dtype=np.int32)
        group_of = {column: t for t, columns in enumerate(groups) for column in columns}
        for column, ranks in enumerate(_map_columns(table, lambda t: _ranks(table.values[by_id, t]))):
            np.minimum(best[group_of[column]], ranks, out=best[group_of[column]])
        owner = best.argmin(axis=0)  # ties: the first target
        ranked = best.min(axis=0) < count
        turn = np.full(count, np.nan)
        for t in range(len(groups)):
            own = np.flatnonzero(ranked & (owner == t))
            turn[own[np.argsort(best[t, own], kind="stable")]] = np.arange(len(own)) * len(groups) + t
        return by_id[lowest_first(turn)]


def _ranks(values: Floats) -> npt.NDArray[np.int32]:
    """Ranks [N], 0 for the largest value; ties by position; N for NaN."""
    ranking = lowest_first(-values)
    ranks = np.full(len(values), len(values), dtype=np.int32)
    ranks[ranking] = np.arange(len(ranking), dtype=np.int32)
    return ranks


@dataclass(frozen=True)
class Shuffled:
    """Eligible rows in a random order that depends on `seed` and the ids, not on the scores."""

    seed: int = 0

    def __call__(self, table: ScoreTable) -> Ranking:
        draws = np.array(unit_intervals("shuffled", self.seed, keys=table.ids))
        return _ascending(np.where(table.eligible, draws, np.nan), id_order(table.ids))


@dataclass(frozen=True)
class MeanZScore:
    """By the mean of the columns' z-scores, largest first.

    A column is standardised over the rows that it has scores for; a constant column gives each of them 0. A row
    without a score in some columns has the mean over the others.
    """

    def __call__(self, table: ScoreTable) -> Ranking:
        total = np.zeros(len(table.ids))
        counts = np.zeros(len(table.ids))
        for ranked, scores in _map_columns(table, lambda t: _z_scores(table.values[:, t].astype(np.float64))):
            total[ranked] += scores
            counts += ranked
        means = np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)
        return _ascending(-means, id_order(table.ids))


def _z_scores(column: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which rows [N] have a score, and the z-scores of those rows; 0 when all scores are equal."""
    ranked = ~np.isnan(column)
    values = column[ranked]
    if not len(values) or values.min() == values.max():
        return ranked, np.zeros_like(values)
    scaled = (values - values.min()) / np.ptp(values)  # prevents underflow of squares
    ascending = np.sort(scaled)  # independent of row order to the last bit
    return ranked, (scaled - ascending.mean()) / ascending.std()
