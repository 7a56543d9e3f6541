"""Tokens of a plan: how many each row of the pool has, counted or expected, and how many of them a pass reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nait.core.dataset.examples import Pool
from nait.core.dataset.token_table import TokenTable
from nait.core.estimates.plans import Ints, characters, expected
from nait.models.tokens.batches import Rows
from nait.signals.forward.prefix_cache import (
    Prefixes,
    cached_tokens,
    find_prefixes,
    forwarded_tokens,
    plan_by_prefix,
)
from nait.signals.passes.options import Engine


@dataclass(frozen=True)
class TokenEstimates:
    """Tokens of N rows as they are scored, `lengths` [N], of their answers, `answers` [N], and what they share."""

    lengths: Ints
    answers: Ints
    prefixes: Prefixes
    batch_tokens: int

    @cached_property
    def batches(self) -> list[Rows]:
        """The rows of each batch of a pass over all of them."""
        return plan_by_prefix(self.lengths, self.batch_tokens, self.prefixes)

    @property
    def total(self) -> int:
        """Tokens of all rows."""
        return int(self.lengths.sum())

    @property
    def shared(self) -> int:
        """Tokens of all rows that a pass does not read again, since many rows begin with them."""
        return sum(len(rows) * cached_tokens(rows, self.prefixes) for rows in self.batches)

    @property
    def read(self) -> int:
        """Tokens that a pass reads: padding included, shared prefixes not."""
        return forwarded_tokens(self.batches, self.lengths, self.prefixes)

    @property
    def padded_share(self) -> float:
        """The share of what a pass reads that is padding, in [0, 1)."""
        return 1.0 - (self.total - self.shared) / max(1, self.read)


def counted(table: TokenTable, engine: Engine) -> TokenEstimates:
    """Those of a table of tokens."""
    return TokenEstimates(table.lengths, table.answer_tokens, engine.prefixes(table), engine.batch_tokens)


def foreseen(pool: Pool, drawn: Pool, table: TokenTable, engine: Engine, *, most: int) -> TokenEstimates:
    """Those expected of a pool of which some rows, `drawn`, have been tokenised.

    A row's tokens follow its characters. Which prefix a row begins with is taken from the drawn ones in turn: so
    each has its share of the rows.
    """
    places = {key: row for row, key in enumerate(pool.ids)}
    rows = np.asarray([places[key] for key in drawn.ids])
    lengths = expected(characters(pool.examples), rows, table.lengths, most=most)
    share = float(table.answer_tokens.sum()) / max(1, int(table.lengths.sum()))
    answers = np.maximum(1, np.rint(share * lengths)).astype(np.int64)
    known = find_prefixes(table)
    number = np.resize(known.number, len(pool))
    number[rows] = known.number
    begun = np.asarray([*(len(ids) for ids in known.ids), 0])[number]
    lengths = np.maximum(lengths, begun + 1)
    return TokenEstimates(
        lengths, answers, engine.paying(Prefixes(known.ids, number), lengths), engine.batch_tokens
    )
