"""All budgets of ours keep the budgets' contract."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from nait.core.contracts import Budget
from nait.core.ranking.budgets import Count, Ratio, Tokens
from nait.testing import BudgetContract


class TestRatio(BudgetContract):
    def budgets(self) -> Sequence[Budget]:
        return [Ratio(0.001), Ratio(0.1), Ratio(0.29), Ratio(0.75)]


class TestRatioThatMayTakeFewer(BudgetContract):
    def budgets(self) -> Sequence[Budget]:
        return [Ratio(0.1, allow_fewer=True), Ratio(1.0, allow_fewer=True)]


class TestCount(BudgetContract):
    def budgets(self) -> Sequence[Budget]:
        return [Count(1), Count(2), Count(30)]


class TestTokens(BudgetContract):
    def budgets(self) -> Sequence[Budget]:
        return [Tokens(50), Tokens(100), Tokens(400), Tokens(1_000_000)]


@pytest.mark.parametrize(
    ("budget", "label"),
    [
        (Ratio(0.1), "10%"),
        (Ratio(1), "100%"),
        (Ratio(0.00123456), "0.123456%"),
        (Count(500), "500 rows"),
        (Tokens(100000), "100000 tokens"),
    ],
)
def test_labels_are_those_of_stored_runs(budget: Budget, label: str) -> None:
    assert budget.label == label
