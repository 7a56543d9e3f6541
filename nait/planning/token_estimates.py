"""Token counts of the pool, exact or extrapolated, and the tokens that a pass forwards."""

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
    """Tokens of N rows: `lengths` [N], `answers` [N], and shared prefixes."""

    lengths: Ints
    answers: Ints
    prefixes: Prefixes
    batch_tokens: int

    @cached_property
    def batches(self) -> list[Rows]:
        """Rows of each batch of a pass."""
        return plan_by_prefix(self.lengths, self.batch_tokens, self.prefixes)

    @property
    def total(self) -> int:
        """Tokens of all rows."""
        return int(self.lengths.sum())

    @property
    def shared(self) -> int:
        """Tokens in cached prefixes, which a pass does not forward again."""
        return sum(len(rows) * cached_tokens(rows, self.prefixes) for rows in self.batches)

    @property
    def forwarded(self) -> int:
        """Tokens forwarded: padding included, cached prefixes excluded."""
        return forwarded_tokens(self.batches, self.lengths, self.prefixes)

    @property
    def padded_share(self) -> float:
        """Share of padding in the forwarded tokens, in [0, 1)."""
        return 1.0 - (self.total - self.shared) / max(1, self.forwarded)


def counted(table: TokenTable, engine: Engine) -> TokenEstimates:
    """Exact counts from a token table."""
    return TokenEstimates(table.lengths, table.answer_tokens, engine.prefixes(table), engine.batch_tokens)


def extrapolated(pool: Pool, drawn: Pool, table: TokenTable, engine: Engine, *, most: int) -> TokenEstimates:
    """Counts extrapolated from a sample of the pool. `table` holds the sample's tokens, `most` the length limit.

    The sample's rows keep their counts. For all other rows the count is a linear fit in characters. Prefixes are
    assigned to rows in turn, in the sample's proportions.
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
    lengths[rows], answers[rows] = table.lengths, table.answer_tokens
    return TokenEstimates(
        lengths, answers, engine.worth_caching(Prefixes(known.ids, number), lengths), engine.batch_tokens
    )
