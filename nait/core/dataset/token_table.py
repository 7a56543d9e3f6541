"""Token tables: encoded examples, flat in memory or memory-mapped.

Shapes: N rows, S tokens in all. Row i is `input_ids[starts[i] : starts[i + 1]]`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Pool

BLOCK_ROWS = 4096

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class TokenTable:
    """Token ids [S] (int32), the answer mask [S] (bool) and row offsets [N + 1] (int64).

    `truncated` [N] marks rows that were cut at the length limit.
    """

    input_ids: Ints
    answer: npt.NDArray[np.bool_]
    starts: Ints
    truncated: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Token counts [N], read-only. Kept: each batch reads them, of all rows."""
        lengths = np.diff(self.starts).astype(np.int64)
        lengths.flags.writeable = False
        return lengths

    @cached_property
    def longest(self) -> int:
        """Tokens of the longest row; 0 without rows."""
        return int(self.lengths.max(initial=0))

    @property
    def answer_tokens(self) -> npt.NDArray[np.int64]:
        """Answer token counts [N]; 0 when truncation left none. Counted in blocks, since S may be large."""
        counts = np.zeros(len(self), dtype=np.int64)
        for at in range(0, len(self), BLOCK_ROWS):
            starts = np.asarray(self.starts[at : at + BLOCK_ROWS + 1])
            flags = self.answer[int(starts[0]) : int(starts[-1])]
            before = np.concatenate([[0], np.cumsum(flags, dtype=np.int64)])
            counts[at : at + BLOCK_ROWS] = np.diff(before[starts - starts[0]])
        return counts

    @property
    def prompt_lengths(self) -> npt.NDArray[np.int64]:
        """Counts [N] of tokens before the first answer token; the row's length when it has no answer token."""
        first = self.lengths.copy()
        for at in range(0, len(self), BLOCK_ROWS):
            starts = np.asarray(self.starts[at : at + BLOCK_ROWS + 1])
            places = np.flatnonzero(self.answer[int(starts[0]) : int(starts[-1])]) + int(starts[0])
            found = np.searchsorted(places, starts[:-1])
            within = found < len(places)
            within[within] = places[found[within]] < starts[1:][within]
            rows = np.flatnonzero(within)
            first[at + rows] = places[found[rows]] - starts[rows]
        return first

    def row(self, i: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
        """Token ids and answer mask of row i."""
        span = slice(int(self.starts[i]), int(self.starts[i + 1]))
        return self.input_ids[span], self.answer[span]


def trainable(pool: Pool, table: TokenTable) -> npt.NDArray[np.bool_]:
    """Which rows [N] have an answer within the length limit. Only these can be selected."""
    answered_n = np.asarray(pool.answered, dtype=np.bool_)
    return np.asarray(answered_n & (table.answer_tokens > 0))


def token_table(
    ids: Sequence[Sequence[int]], answers: Sequence[Sequence[bool]], truncated: Sequence[bool]
) -> TokenTable:
    """The token table of these rows."""
    starts = np.concatenate([[0], np.cumsum([len(row) for row in ids], dtype=np.int64)]).astype(np.int64)
    flat = np.fromiter((t for row in ids for t in row), dtype=np.int32, count=int(starts[-1]))
    mask = np.fromiter((a for row in answers for a in row), dtype=bool, count=int(starts[-1]))
    return TokenTable(flat, mask, starts, np.asarray(truncated, dtype=bool))
