"""Chunk buffers: the values of a chunk in memory, and the pieces that save it before it is complete.

A piece holds the rows added since the previous piece; for a set-level signal it holds the sum so far. A chunk
restored from its pieces and then completed has the same bytes as one measured without interruption.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nait.signals.runtime.host_transfer import Values
from nait.signals.specs.activations import Signal


class ChunkBuffer:
    """Values of a chunk, one array per signal. Set-level signals are summed.

    Arrays are allocated at full size: small arrays kept from each batch would fragment the heap.
    """

    def __init__(self, signals: Sequence[Signal], rows: int) -> None:
        self.per_row = [signal.per_row for signal in signals]
        self.rows = rows
        self.at = 0
        self.batches = 0
        self.arrays: list[Values] = []
        self.saved_rows = 0
        self.saved_batches = 0
        self._whole = True

    def add(self, values: Sequence[Values], rows: int) -> None:
        """Add the values of the next batch."""
        self._whole = False
        if not self.arrays:
            self.arrays = self._empty(values)
        for own, array, value in zip(self.per_row, self.arrays, values, strict=True):
            if own:
                array[self.at : self.at + rows] = value
            else:
                array += value.sum(axis=0, keepdims=True)
        self.at += rows
        self.batches += 1
        self._whole = True

    def _empty(self, values: Sequence[Values]) -> list[Values]:
        return [
            np.zeros((self.rows if own else 1, *value.shape[1:]), dtype=value.dtype)
            for own, value in zip(self.per_row, values, strict=True)
        ]

    @property
    def has_unsaved(self) -> bool:
        """Whether batches were added since the last piece, and none was interrupted halfway."""
        return self._whole and self.batches > self.saved_batches

    def piece(self) -> list[Values]:
        """Values since the last piece, one array per signal."""
        return [
            array[self.saved_rows : self.at] if own else array
            for own, array in zip(self.per_row, self.arrays, strict=True)
        ]

    def mark_saved(self) -> None:
        """Record that a piece was written."""
        self.saved_rows, self.saved_batches = self.at, self.batches

    def restore(self, piece: Sequence[Values], *, rows: int, batches: int) -> None:
        """Add the values of a piece that holds these numbers of rows and batches."""
        if not self.arrays:
            self.arrays = self._empty(piece)
        for own, array, value in zip(self.per_row, self.arrays, piece, strict=True):
            if own:
                array[self.at : self.at + rows] = value
            else:
                array[:] = value
        self.at += rows
        self.batches += batches
        self.mark_saved()
