"""Laws of the training benchmark: its rows are typical of Alpaca, and all alternatives train the same tokens."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.models import load
from benchmarks.updates import LONGEST, packed, padded, padding, pool_lengths, updates, without_padding
from nait.training.updates.update_gradients import UpdateGradients

VOCABULARY = 500


def test_the_rows_of_few_updates_are_typical_of_the_pool() -> None:
    prompts, answers = pool_lengths()
    lengths = prompts + answers
    assert lengths.max() <= LONGEST
    assert lengths.mean() == pytest.approx(130, rel=0.02)
    table = updates(2, 16, vocabulary=VOCABULARY)
    assert len(table) == 32
    assert table.lengths.mean() == pytest.approx(lengths.mean(), rel=0.05)
    assert table.answer_tokens.sum() / table.lengths.sum() == pytest.approx(
        answers.sum() / lengths.sum(), rel=0.05
    )
    assert padding(table.lengths, 16) == pytest.approx(2.2, rel=0.05)


def test_the_floors_batches_have_almost_no_padding_and_as_many_answer_tokens() -> None:
    table, batches = without_padding(4000, 512, answer_share=0.5, vocabulary=VOCABULARY)
    assert sorted(np.concatenate(batches)) == list(range(len(table)))
    padded_tokens = sum(len(rows) * table.lengths[rows].max() for rows in batches)
    assert padded_tokens / table.lengths.sum() < 1.03
    assert table.answer_tokens.sum() / table.lengths.sum() == pytest.approx(0.5, abs=0.01)


def test_padded_packed_and_split_updates_have_one_loss() -> None:
    network = load("random:tiny", device="cpu", dtype="float32")
    table = updates(1, 8, vocabulary=VOCABULARY)
    rows = list(range(8))
    ours = float(UpdateGradients(network, table, device_tokens=512)(rows))
    with torch.no_grad():
        for collate in (padded, packed):
            batch = collate(table, rows)
            assert (batch["labels"][:, 1:] != -100).sum() == table.answer_tokens.sum()
            assert float(network(**batch, use_cache=False).loss) == pytest.approx(ours, abs=1e-5)
    assert packed(table, rows)["input_ids"].numel() < padded(table, rows)["input_ids"].numel()
