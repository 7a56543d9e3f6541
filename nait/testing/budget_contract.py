"""The contract tests of a budget.

Shapes: N rows of the pool, M of them ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Budget
from nait.core.errors import NaitError
from nait.core.ranking.orders import Ranking
from nait.testing.random_state import other_random_numbers

ROWS, RANKED = 40, 30


class BudgetContract:
    """Subclass it, return budgets from `budgets`, and pytest runs the laws.

    The laws use a pool of 40 rows, of which 30 are eligible, with 1 to 50 answer tokens per row.
    """

    def budgets(self) -> Sequence[Budget]:
        """Budgets of one kind, in ascending size; at least two of them take different numbers of rows."""
        raise NotImplementedError("Return two or more budgets, in ascending size.")

    def answer_tokens(self) -> npt.NDArray[np.int64]:
        """The answer tokens [N] of the pool's rows."""
        return np.random.default_rng(0).integers(1, 51, size=ROWS)

    def ranking(self) -> Ranking:
        """The ranked rows [M]."""
        return np.random.default_rng(1).permutation(ROWS)[:RANKED].astype(np.int64)

    # The laws.

    def test_a_budget_takes_some_of_the_ranked_rows(self) -> None:
        """The result is a whole number from 1 to the number of ranked rows, or a NaitError if there are too few."""
        for budget in self.budgets():
            for ranked in (RANKED, 5, 1):
                try:
                    count = budget(self.ranking()[:ranked], self.answer_tokens())
                except NaitError:
                    continue
                assert isinstance(count, (int, np.integer)), f"{count!r} is not a whole number"
                assert 1 <= count <= ranked, f"{_name(budget)} takes {count} of {ranked} ranked rows"

    def test_an_empty_ranking_gives_no_rows(self) -> None:
        """An empty ranking gives 0: the selection then reports why no row is eligible."""
        for budget in self.budgets():
            count = budget(self.ranking()[:0], self.answer_tokens())
            assert count == 0, f"{_name(budget)} takes {count} rows of none"

    def test_a_smaller_budget_is_a_prefix_of_a_larger_one(self) -> None:
        """Larger budgets never take fewer rows, and not all budgets take the same number."""
        counts = [int(budget(self.ranking(), self.answer_tokens())) for budget in self.budgets()]
        assert all(small <= large for small, large in pairwise(counts)), (
            f"a larger budget takes fewer: {counts}"
        )
        assert len(set(counts)) > 1, f"all budgets take {counts[0]} rows: give budgets of different sizes"

    def test_the_order_of_the_pool_is_irrelevant(self) -> None:
        """The same rows in another order of the pool give the same number."""
        places = np.random.default_rng(2).permutation(ROWS)
        moved = np.argsort(places)  # the new position of each row
        for budget in self.budgets():
            usual = budget(self.ranking(), self.answer_tokens())
            other = budget(moved[self.ranking()], self.answer_tokens()[places])
            assert usual == other, f"{_name(budget)} depends on the order of the pool: {usual}, {other} rows"

    def test_the_same_ranking_gives_the_same_number(self) -> None:
        """A second call with other global random states gives the same number."""
        for budget, again in zip(self.budgets(), self.budgets(), strict=True):
            usual = budget(self.ranking(), self.answer_tokens())
            with other_random_numbers():
                numbers = {
                    budget(self.ranking(), self.answer_tokens()),
                    again(self.ranking(), self.answer_tokens()),
                }
            assert numbers == {usual}, f"{_name(budget)} takes {usual} rows, then {numbers}"

    def test_the_ranking_is_not_modified(self) -> None:
        """A budget changes neither the ranking nor the answer tokens."""
        for budget in self.budgets():
            ranking, tokens = self.ranking(), self.answer_tokens()
            budget(ranking, tokens)
            assert np.array_equal(ranking, self.ranking()), f"{_name(budget)} changes the ranking"
            assert np.array_equal(tokens, self.answer_tokens()), f"{_name(budget)} changes the answer tokens"

    def test_different_budgets_have_different_labels(self) -> None:
        """A label is one line of text, equal for equal budgets and different for different ones."""
        labels = [budget.label for budget in self.budgets()]
        for label in labels:
            assert isinstance(label, str), f"the label {label!r} is not text"
            assert label.strip(), "the label is empty"
            assert label.isprintable(), f"the label {label!r} is not one line of text"
        assert labels == [budget.label for budget in self.budgets()], "equal budgets have different labels"
        assert len(set(labels)) == len(labels), f"different budgets share a label: {labels}"


def _name(budget: Budget) -> str:
    return f"{type(budget).__name__} ({budget.label})"
