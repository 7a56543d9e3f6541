"""Orders: a score table in, a ranking of its eligible rows out (row numbers, best first).

An order is pure. Ties break by id, so the order of the file never matters, and a smaller budget always
selects a prefix of a larger one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
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
Found = TypeVar("Found")

THREADS = 4
"""Columns that are worked on at a time: numpy sorts outside the interpreter's lock."""
TURNS = 1024
"""Rows of a queue that are looked at together."""


def _one_column(table: ScoreTable, order: str) -> Floats:
    if len(table.targets) != 1:
        raise ConfigError(
            f"order={order} ranks one column, the table has {len(table.targets)}: {', '.join(table.targets)}",
            where="order",
            mend="Use order=best_rank or order=round_robin, or give one target.",
        )
    return table.values[:, 0]


def _ascending(values: Floats, by_id: Ranking) -> Ranking:
    """Finite rows by value, lowest first; ties by id."""
    return by_id[lowest_first(values[by_id])]


def _of_columns(table: ScoreTable, work: Callable[[int], Found]) -> Iterator[Found]:
    """What `work` gives for each column's number, in the columns' order; at most `THREADS` results are waiting."""
    columns = range(len(table.targets))
    with ThreadPoolExecutor(THREADS) as threads:
        for start in columns[::THREADS]:
            yield from threads.map(work, columns[start : start + THREADS])


def _rankings(table: ScoreTable, by_id: Ranking) -> Iterator[Ranking]:
    """Each column's finite rows by value, highest first; ties by id."""
    return _of_columns(table, lambda t: by_id[lowest_first(-table.values[by_id, t])])


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
    """The median first, then outwards: its prefixes are the centred middles of every size."""

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(_one_column(table, "middle"), id_order(table.ids))
        places = np.arange(len(ranking))
        distance = np.abs(2 * places - (len(ranking) - 1))
        return ranking[np.lexsort((places, distance))]


@dataclass(frozen=True)
class FromQuantile:
    """Downwards from a place within: of N eligible rows, highest first, the one at int(q N) comes first.

    The rows above that place follow at the end, nearest first, so that every eligible row is ranked and a budget
    that the rows below cannot fill still grows by the nearest row. `q=0` is `highest`.
    """

    q: float = 0.33

    def __post_init__(self) -> None:
        check_number("order.q", self.q, "[0, 1)", mend="0.33 is published.")

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(-_one_column(table, "from_quantile"), id_order(table.ids))
        start = int(self.q * len(ranking))
        return np.concatenate([ranking[start:], ranking[:start][::-1]])


@dataclass(frozen=True)
class RoundRobin:
    """Each target in turn takes its best row not yet taken."""

    def __call__(self, table: ScoreTable) -> Ranking:
        taken = bytearray(len(table.ids))
        columns = _rankings(table, id_order(table.ids))
        queues = deque(_turns(column.astype(np.int32), taken) for column in columns)  # int32: all are kept
        ranking: list[int] = []
        while queues:
            queue = queues.popleft()
            if (row := next(queue, None)) is not None:
                ranking.append(row)
                queues.append(queue)
        return np.array(ranking, dtype=np.int64)


def _turns(column: npt.NDArray[np.int32], taken: bytearray) -> Iterator[int]:
    """At each turn the column's next row that is not taken, which then is. `taken` [N] is shared by all columns."""
    flags = np.frombuffer(taken, dtype=np.bool_)
    for start in range(0, len(column), TURNS):
        rows = column[start : start + TURNS]
        for row in rows[~flags[rows]].tolist():
            if not taken[row]:  # since these rows were looked at
                taken[row] = True
                yield row


@dataclass(frozen=True)
class BestRank:
    """By the best rank over the targets: each prefix is a union of the targets' top k."""

    def __call__(self, table: ScoreTable) -> Ranking:
        by_id = id_order(table.ids)
        best = np.full(len(by_id), len(by_id), dtype=np.int32)
        for ranks in _of_columns(table, lambda t: _ranks(table.values[by_id, t])):
            np.minimum(best, ranks, out=best)
        return by_id[lowest_first(np.where(best < len(by_id), best, np.nan))]


def _ranks(values: Floats) -> npt.NDArray[np.int32]:
    """[N] the rank of each value, 0 that of the largest, ties by place; N of what is NaN."""
    ranking = lowest_first(-values)
    ranks = np.full(len(values), len(values), dtype=np.int32)
    ranks[ranking] = np.arange(len(ranking), dtype=np.int32)
    return ranks


@dataclass(frozen=True)
class Shuffled:
    """Eligible rows in an order drawn from `seed` and the ids, whatever the scores say."""

    seed: int = 0

    def __call__(self, table: ScoreTable) -> Ranking:
        draws = np.array(unit_intervals("shuffled", self.seed, keys=table.ids))
        return _ascending(np.where(table.eligible, draws, np.nan), id_order(table.ids))


@dataclass(frozen=True)
class MeanZScore:
    """By the mean of the columns' z-scores, largest first: their sum, where a row has them all.

    A column is standardised over the rows that it can rank; one that is constant there gives each of them 0. A row
    that some columns cannot rank has the mean over the others.
    """

    def __call__(self, table: ScoreTable) -> Ranking:
        total = np.zeros(len(table.ids))
        counts = np.zeros(len(table.ids))
        for ranked, scores in _of_columns(table, lambda t: _z_scores(table.values[:, t].astype(np.float64))):
            total[ranked] += scores
            counts += ranked
        means = np.divide(total, counts, out=np.full(len(total), np.nan), where=counts > 0)
        return _ascending(-means, id_order(table.ids))


def _z_scores(column: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """Which rows [N] have a value, and those less their mean, in standard deviations; 0 where all are equal."""
    ranked = ~np.isnan(column)
    values = column[ranked]
    if not len(values) or values.min() == values.max():
        return ranked, np.zeros_like(values)
    scaled = (values - values.min()) / np.ptp(values)  # so that no square underflows
    ascending = np.sort(scaled)  # a sum's last bits depend on its order, and ties on them
    return ranked, (scaled - ascending.mean()) / ascending.std()
