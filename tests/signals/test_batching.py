"""A batch that does not fit is let go before its halves are read."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch

from nait.models.batches import Rows
from nait.signals.batching import read_in_halves


def test_nothing_of_a_failed_batch_is_in_memory_while_its_halves_are_read() -> None:
    failed: list[weakref.ref[Any]] = []

    def read(rows: Rows) -> list[Any]:
        assert all(each() is None for each in failed)
        activations = torch.ones(len(rows))
        if len(rows) > 1:
            failed.append(weakref.ref(activations))
            raise torch.OutOfMemoryError
        return [activations.numpy() * rows]

    (values,) = read_in_halves(read, np.arange(5))
    assert len(failed) == 4
    np.testing.assert_array_equal(values, np.arange(5))
