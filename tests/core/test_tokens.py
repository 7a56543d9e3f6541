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


def test_lengths_are_computed_once_and_no_reader_changes_them() -> None:
    """Each batch of a pass reads the lengths of all rows: 2 ms a batch with a million rows."""
    table = token_table([[1, 2], [], [3]], [[False, True], [], [False]], [False] * 3)
    assert table.lengths is table.lengths
    assert table.prompt_lengths.tolist() == [1, 0, 1]
    assert (table.lengths.tolist(), table.longest) == ([2, 0, 1], 2)
    assert not table.lengths.flags.writeable
