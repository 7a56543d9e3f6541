"""A batch that runs out of memory is freed before its halves are read, and no later batch is tried at its size."""

from __future__ import annotations

import logging
import weakref
from typing import Any

import numpy as np
import pytest
import torch

from nait.models.tokens.batches import Rows
from nait.signals.runtime.out_of_memory import MemoryFit


def test_a_failed_batch_is_freed_before_its_halves_are_read() -> None:
    failed: list[weakref.ref[Any]] = []

    def read(rows: Rows) -> Rows:
        assert all(each() is None for each in failed)
        activations = torch.ones(len(rows))
        if len(rows) > 1:
            failed.append(weakref.ref(activations))
            raise torch.OutOfMemoryError
        return rows

    parts = MemoryFit().read(read, np.arange(5), width=10)
    assert len(failed) == 2  # at five rows, then at two
    assert [part.tolist() for part in parts] == [[0], [1], [2], [3], [4]]


def test_later_batches_are_cut_to_what_fitted(caplog: pytest.LogCaptureFixture) -> None:
    sizes: list[tuple[int, int]] = []

    def reader(width: int) -> Any:
        def read(rows: Rows) -> Rows:
            sizes.append((len(rows), width))
            if len(rows) * width > 100:
                raise torch.OutOfMemoryError
            return rows

        return read

    fit = MemoryFit()
    for width in (40, 20, 10):
        parts = fit.read(reader(width), np.arange(7), width=width)
        assert np.concatenate(parts).tolist() == [*range(7)]
    assert [size for size in sizes if size[0] * size[1] > 100] == [(7, 40), (3, 40)]
    assert [rows for rows, width in sizes if width == 20] == [3, 3, 1]
    assert [rows for rows, width in sizes if width == 10] == [6, 1]
    assert [record.args for record in caplog.records] == [(280, 140), (120, 60)]


def test_a_single_row_that_does_not_fit_ends_the_pass(caplog: pytest.LogCaptureFixture) -> None:
    def read(rows: Rows) -> Rows:
        raise torch.OutOfMemoryError

    with caplog.at_level(logging.WARNING), pytest.raises(torch.OutOfMemoryError):
        MemoryFit().read(read, np.arange(4), width=8)
    assert len(caplog.records) == 2


def test_tensor_parallel_processes_do_not_retry(caplog: pytest.LogCaptureFixture) -> None:
    def read(rows: Rows) -> Rows:
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        MemoryFit(retry=False).read(read, np.arange(4), width=8)
    assert not caplog.records
