"""Batch plans: every row once, within the token budget, in few shapes."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.dataset.token_table import token_table
from nait.models.tokens.batches import collate, plan, width_of

lengths = st.lists(st.integers(1, 600), min_size=1, max_size=200).map(
    lambda values: np.array(values, dtype=np.int64)
)


@given(lengths, st.integers(1, 5000))
@settings(max_examples=60, deadline=None)
def test_each_row_is_in_one_batch_and_no_batch_is_over_budget(rows: np.ndarray, budget: int) -> None:
    batches = plan(rows, budget)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(rows)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * width_of(int(rows[batch].max())) <= budget


def test_widths_are_few_and_close() -> None:
    widths = [width_of(length) for length in range(1, 4097)]
    assert all(width >= length for length, width in enumerate(widths, start=1))
    assert len(set(widths[:512])) <= 100
    assert np.mean([width / length for length, width in enumerate(widths, start=1)]) < 1.025


def test_little_of_a_plan_is_padding() -> None:
    rows = np.random.default_rng(0).integers(30, 512, size=3000)
    padded = sum(width_of(int(rows[batch].max())) * len(batch) for batch in plan(rows, 8192))
    assert 1 - rows.sum() / padded < 0.04


def test_sides_hold_the_same_rows() -> None:
    table = token_table([[5, 6, 7], [8]], [[False, True, True], [True]], [False, False])
    for side in ("right", "left"):
        batch = collate(table, np.array([0, 1]), fill_id=0, device="cpu", side=side)
        for i, row in enumerate(([5, 6, 7], [8])):
            assert batch.input_ids[i][batch.real[i]].tolist() == row
            assert batch.input_ids[i, batch.first[i]] == row[0]
            assert batch.input_ids[i, batch.last[i]] == row[-1]
        assert batch.prompt_end.tolist() == [int(batch.first[0]), int(batch.first[1])]
        assert batch.tokens == 4
