"""Budgets: how many of the ranked rows are selected. Pure functions, like orders."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_number, check_whole
from nait.core.ranking.orders import Ranking

WHOLE = "100%"
"""The label, in tables, of a method that selects every eligible row, whatever its budget."""


def _within(wanted: int, ranking: Ranking, *, allow_fewer: bool) -> int:
    if wanted > len(ranking) > 0 and not allow_fewer:  # `cut` reports an empty ranking
        raise ConfigError(
            f"the budget asks for {wanted} rows, only {len(ranking)} are eligible",
            where="budget",
            fix="Lower the budget, or set budget.allow_fewer=true.",
        )
    return min(wanted, len(ranking))


@dataclass(frozen=True)
class Ratio:
    """A share of the pool's N rows, rounded down, at least one row. `ratio` in (0, 1]."""

    ratio: float
    allow_fewer: bool = False

    def __post_init__(self) -> None:
        check_number("budget.ratio", self.ratio, "(0, 1]", fix="0.1 selects a tenth of the pool.")

    @property
    def label(self) -> str:
        """Percent of the pool, in so many digits that two ratios never share a label by rounding."""
        return f"{100 * float(self.ratio):.12g}%"

    def rows(self, pool_rows: int) -> int:
        """The number of rows that this budget asks for."""
        # 0.29 * 100 is 28.999999999999996: a rounding error below the whole number counts as the number.
        return max(1, math.floor(self.ratio * pool_rows + 1e-9))

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int:
        return _within(self.rows(len(answer_tokens)), ranking, allow_fewer=self.allow_fewer)


@dataclass(frozen=True)
class Count:
    """A number of rows."""

    count: int
    allow_fewer: bool = False

    def __post_init__(self) -> None:
        check_whole("budget.count", self.count, least=1)

    @property
    def label(self) -> str:
        """The number of rows."""
        return f"{self.count} rows"

    def rows(self, pool_rows: int) -> int:  # noqa: ARG002
        """The number of rows that this budget asks for."""
        return self.count

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int:
        return _within(self.rows(len(answer_tokens)), ranking, allow_fewer=self.allow_fewer)


@dataclass(frozen=True)
class Tokens:
    """The first rows whose answer tokens fit into `tokens`.

    Answers count up to the model's length limit: it is a budget of the tokens that training reads.

    Raises: ConfigError when the first row does not fit.
    """

    tokens: int

    def __post_init__(self) -> None:
        check_whole("budget.tokens", self.tokens, least=1)

    @property
    def label(self) -> str:
        """The number of answer tokens."""
        return f"{self.tokens} tokens"

    def __call__(self, ranking: Ranking, answer_tokens: npt.NDArray[np.int64]) -> int:
        tokens_k = answer_tokens[ranking]
        if len(tokens_k) and tokens_k[0] > self.tokens:
            raise ConfigError(
                f"the first row of the ranking has {tokens_k[0]} answer tokens, the budget is {self.tokens}",
                where="budget.tokens",
                fix=f"Give {tokens_k[0]} or more.",
            )
        return int((np.cumsum(tokens_k) <= self.tokens).sum())


def asked_rows(budget: object, pool_rows: int) -> int | None:
    """The number of rows that a budget asks for; None for a budget of tokens."""
    return budget.rows(pool_rows) if isinstance(budget, (Ratio, Count)) else None


def shortfall(budget: object, selected: int, pool_rows: int, *, eligible: int | None = None) -> list[str]:
    """A warning for a selection with other rows than its budget says.

    It has fewer rows than the budget asks for (`allow_fewer`), one row for a share below one row, or all of the
    `eligible` rows because they have fewer tokens than a budget of tokens.
    """
    if isinstance(budget, Tokens) and eligible is not None and selected >= eligible:
        return [
            f"{budget.tokens} answer tokens are enough for all {eligible} eligible rows: every one is selected, "
            "whatever the method. Lower budget.tokens."
        ]
    if isinstance(budget, Ratio) and budget.ratio * pool_rows + 1e-9 < 1:
        return [
            f"budget.ratio={budget.ratio:g} of {pool_rows} rows is less than one row: one is selected, "
            f"{100 / pool_rows:.2g}% of them."
        ]
    wanted = asked_rows(budget, pool_rows)
    if wanted is None or selected >= wanted:
        return []
    return [
        f"Fewer rows selected than the budget asks for: {selected} of {wanted}, as only these are eligible "
        "(budget.allow_fewer=true)."
    ]
