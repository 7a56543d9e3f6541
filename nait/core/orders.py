"""Orders: a score table in, a ranking of its eligible rows out (row numbers, best first).

An order is pure. Ties break by id, so the order of the file never matters, and a smaller budget always
selects a prefix of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.address import unit_interval
from nait.core.errors import ConfigError
from nait.core.scores import Floats, ScoreTable, id_ranks

Ranking = npt.NDArray[np.int64]


def _one_column(table: ScoreTable, order: str) -> Floats:
    if len(table.targets) != 1:
        raise ConfigError(
            f"order={order} ranks one column, the table has {len(table.targets)}: {', '.join(table.targets)}",
            where="order",
            mend="Use order=best_rank or order=round_robin, or give one target.",
        )
    return table.values[:, 0]


def _ascending(values: Floats, ties: npt.NDArray[np.int64]) -> Ranking:
    """Finite rows by value, lowest first; ties by id."""
    ranking = np.lexsort((ties, values))
    return ranking[~np.isnan(values[ranking])].astype(np.int64)


def _column_rankings(table: ScoreTable) -> list[Ranking]:
    ties = id_ranks(table.ids)
    return [_ascending(-table.values[:, t], ties) for t in range(len(table.targets))]


@dataclass(frozen=True)
class Highest:
    """The largest score first."""

    def __call__(self, table: ScoreTable) -> Ranking:
        return _ascending(-_one_column(table, "highest"), id_ranks(table.ids))


@dataclass(frozen=True)
class Lowest:
    """The smallest score first."""

    def __call__(self, table: ScoreTable) -> Ranking:
        return _ascending(_one_column(table, "lowest"), id_ranks(table.ids))


@dataclass(frozen=True)
class Middle:
    """The median first, then outwards: its prefixes are the centred middles of every size."""

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(_one_column(table, "middle"), id_ranks(table.ids))
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
        if not 0 <= self.q < 1:
            raise ConfigError(f"{self.q} is not in [0, 1)", where="order.q", mend="0.33 is published.")

    def __call__(self, table: ScoreTable) -> Ranking:
        ranking = _ascending(-_one_column(table, "from_quantile"), id_ranks(table.ids))
        start = int(self.q * len(ranking))
        return np.concatenate([ranking[start:], ranking[:start][::-1]])


@dataclass(frozen=True)
class RoundRobin:
    """Each target in turn takes its best row not yet taken."""

    def __call__(self, table: ScoreTable) -> Ranking:
        queues = _column_rankings(table)
        taken = np.zeros(len(table.ids), dtype=bool)
        heads = [0] * len(queues)
        ranking: list[int] = []
        while True:
            grown = False
            for t, queue in enumerate(queues):
                while heads[t] < len(queue) and taken[queue[heads[t]]]:
                    heads[t] += 1
                if heads[t] < len(queue):
                    row = int(queue[heads[t]])
                    taken[row] = True
                    ranking.append(row)
                    grown = True
            if not grown:
                return np.asarray(ranking, dtype=np.int64)


@dataclass(frozen=True)
class BestRank:
    """By the best rank over the targets: each prefix is a union of the targets' top k."""

    def __call__(self, table: ScoreTable) -> Ranking:
        best = np.full(len(table.ids), np.inf)
        for ranking in _column_rankings(table):
            best[ranking] = np.minimum(best[ranking], np.arange(len(ranking)))
        best[np.isinf(best)] = np.nan
        return _ascending(best, id_ranks(table.ids))


@dataclass(frozen=True)
class Shuffled:
    """Eligible rows in an order drawn from `seed` and the ids, whatever the scores say."""

    seed: int = 0

    def __call__(self, table: ScoreTable) -> Ranking:
        draws = np.asarray([unit_interval("shuffled", self.seed, key) for key in table.ids])
        return _ascending(np.where(table.eligible, draws, np.nan), id_ranks(table.ids))
