"""The contract tests of an order.

Shapes: N rows, T columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Order
from nait.core.errors import NaitError
from nait.core.ranking.orders import Ranking
from nait.core.ranking.score_table import ScoreTable
from nait.testing.random_state import other_random_numbers

ROWS = 30


class OrderContract:
    """Subclass it, return an order from `order`, and pytest runs the laws.

    An order may reject some numbers of columns with a NaitError, but then for every table.
    """

    def order(self) -> Order:
        """The order under test, a new instance at each call."""
        raise NotImplementedError("Return an order.")

    def tables(self) -> Sequence[ScoreTable]:
        """The tables to rank, with one and three columns: ties, missing scores, a single row, no eligible row."""
        return [table for columns in (1, 3) for table in _tables(columns)]

    # The laws.

    def test_a_ranking_is_a_permutation_of_the_eligible_rows(self) -> None:
        """A ranking holds the number of each eligible row once, and no other."""
        for table, ranking in self._rankings():
            assert np.issubdtype(np.asarray(ranking).dtype, np.integer), "a ranking holds whole numbers"
            wanted = np.flatnonzero(table.eligible).tolist()
            assert sorted(np.asarray(ranking).tolist()) == wanted, (
                f"the ranking is not a permutation of the eligible rows of {_shown(table)}"
            )

    def test_a_number_of_columns_is_refused_always_or_never(self) -> None:
        """Whether a table is rejected depends only on its number of columns; at least one number is accepted."""
        answers: dict[int, set[bool]] = {}
        for table in self.tables():
            answers.setdefault(len(table.targets), set()).add(self._rank(table) is not None)
        mixed = [columns for columns, taken in answers.items() if len(taken) > 1]
        assert not mixed, f"some tables of {mixed} columns are refused, others are not"
        assert any(True in taken for taken in answers.values()), "the order refuses every table"

    def test_the_order_of_the_rows_is_irrelevant(self) -> None:
        """The same scores in another order of the rows give the same ranking by id: ties do not break by position."""
        for table, ranking in self._rankings():
            places = np.random.default_rng(1).permutation(len(table.ids))
            other = _table(table.values[places], [table.ids[place] for place in places])
            again = self.order()(other)
            assert [other.ids[row] for row in again] == [table.ids[row] for row in ranking], (
                f"the ranking depends on the order of the rows of {_shown(table)}"
            )

    def test_the_same_table_gives_the_same_ranking(self) -> None:
        """A second call with other global random states gives the same ranking."""
        for table, ranking in self._rankings():
            with other_random_numbers():
                again = self.order()(table)
            assert np.array_equal(ranking, again), f"a second call ranks {_shown(table)} differently"

    def test_the_table_is_not_modified(self) -> None:
        """An order changes no score."""
        for table in self.tables():
            before = table.values.copy()
            self._rank(table)
            assert np.array_equal(before, table.values, equal_nan=True), "the order changes the scores"

    def _rank(self, table: ScoreTable) -> Ranking | None:
        """The ranking; None if the order rejects the table."""
        try:
            return self.order()(table)
        except NaitError:
            return None

    def _rankings(self) -> Iterator[tuple[ScoreTable, Ranking]]:
        for table in self.tables():
            ranking = self._rank(table)
            if ranking is not None:
                yield table, ranking


def _tables(columns: int) -> Iterator[ScoreTable]:
    generator = np.random.default_rng(columns)
    scores = generator.normal(size=(ROWS, columns))
    missing = generator.random(scores.shape) < 0.3
    yield _table(scores)
    yield _table(np.where(missing, np.nan, scores))
    yield _table(np.round(scores))  # ties
    yield _table(np.where(missing, np.nan, np.round(scores)) * 1e-200)
    yield _table(np.zeros((ROWS, columns)))
    yield _table(scores[:1])
    yield _table(np.full((3, columns), np.nan))
    yield _table(scores.astype(np.float32))
    yield _table(scores[:8], ["é", "a\0", "Z", "a", "\U0001f600", "\uffff", "z", "10"])


def _table(values: npt.NDArray[np.floating], ids: Sequence[str] | None = None) -> ScoreTable:
    names = ids or [f"row{(7 * i) % len(values):03d}-{i}" for i in range(len(values))]
    return ScoreTable(tuple(names), tuple(f"t{c}" for c in range(values.shape[1])), values, "1", "a test")


def _shown(table: ScoreTable) -> str:
    return f"a table of {len(table.ids)} rows, {len(table.targets)} columns, {int(table.eligible.sum())} eligible"
