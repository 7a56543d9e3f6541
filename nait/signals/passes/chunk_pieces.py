"""Fillings: a chunk's values in memory while its batches come, and the pieces that are kept until it is whole.

A piece holds the rows that came since the one before it, and of a set-level signal the sum so far. A
chunk that is filled from its pieces and then from the other batches has the bytes of one filled in one go.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nait.signals.runtime.host_transfer import Values
from nait.signals.specs.activations import Signal


class Filling:
    """A chunk's values, an array a signal, as its batches come; a set-level signal is summed.

    The arrays have their full size at once: small ones that were kept from each batch would lie between what batches
    free, and the heap would grow around them.
    """

    def __init__(self, signals: Sequence[Signal], rows: int) -> None:
        self.per_row = [signal.per_row for signal in signals]
        self.rows = rows
        self.at = 0
        self.batches = 0
        self.arrays: list[Values] = []
        self.kept_rows = 0
        self.kept_batches = 0
        self._whole = True

    def add(self, values: Sequence[Values], rows: int) -> None:
        """The next batch's values, of so many rows."""
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
    def can_be_kept(self) -> bool:
        """Whether batches came since the last piece, none of which an interrupt has left half added."""
        return self._whole and self.batches > self.kept_batches

    def piece(self) -> list[Values]:
        """What came since the last piece, an array a signal."""
        return [
            array[self.kept_rows : self.at] if own else array
            for own, array in zip(self.per_row, self.arrays, strict=True)
        ]

    def keep(self) -> None:
        """Notes that a piece has been written."""
        self.kept_rows, self.kept_batches = self.at, self.batches

    def restore(self, piece: Sequence[Values], *, rows: int, batches: int) -> None:
        """The values of the next piece, of so many rows in so many batches."""
        if not self.arrays:
            self.arrays = self._empty(piece)
        for own, array, value in zip(self.per_row, self.arrays, piece, strict=True):
            if own:
                array[self.at : self.at + rows] = value
            else:
                array[:] = value
        self.at += rows
        self.batches += batches
        self.keep()


def write_arrays(path: Path, arrays: Sequence[Values]) -> None:
    """Writes the arrays under their numbers, whole: to a `.part` file first, then renamed."""
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{str(i): array for i, array in enumerate(arrays)})
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def read_arrays(path: Path) -> list[Values]:
    """The arrays of `write_arrays`."""
    with np.load(path, allow_pickle=False) as arrays:
        found: Mapping[str, Values] = arrays
        return [found[str(i)] for i in range(len(found))]
