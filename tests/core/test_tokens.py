"""Laws of token tables."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.dataset import token_table as tokens
from nait.core.dataset.token_table import token_table

rows = st.lists(st.lists(st.booleans(), max_size=6), min_size=1, max_size=30)


@given(rows, st.integers(1, 7))
@settings(max_examples=60, deadline=None)
def test_answer_tokens_are_counted_row_by_row_whatever_the_block(flags: list[list[bool]], block: int) -> None:
    table = token_table([[7] * len(row) for row in flags], flags, [False] * len(flags))
    kept, tokens.BLOCK_ROWS = tokens.BLOCK_ROWS, block
    try:
        assert table.answer_tokens.tolist() == [sum(row) for row in flags]
    finally:
        tokens.BLOCK_ROWS = kept
    assert table.lengths.tolist() == [len(row) for row in flags]


def test_a_row_is_its_own_slice() -> None:
    table = token_table([[1, 2], [], [3]], [[False, True], [], [True]], [False, False, True])
    assert [table.row(i)[0].tolist() for i in range(3)] == [[1, 2], [], [3]]
    assert np.asarray(table.truncated).tolist() == [False, False, True]
