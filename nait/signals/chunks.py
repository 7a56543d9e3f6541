"""Chunks: the parts in which a pass is written, each whole and renamed, claimed by one process at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from nait.core.address import address
from nait.core.errors import StoreError
from nait.core.tokens import TokenTable
from nait.core.workers import WAIT_SECONDS, Workers
from nait.models.batches import Rows
from nait.signals.arrivals import Values
from nait.signals.readings import Signal
from nait.store import read_json, write_json

PLAN = "plan.json"


class Filling:
    """A chunk's values, an array a signal, as its batches come; a set-level signal is summed.

    The arrays have their full size at once: small ones that were kept from each batch would lie between what batches
    free, and the heap would grow around them.
    """

    def __init__(self, signals: Sequence[Signal], rows: int) -> None:
        self.per_row = [signal.per_row for signal in signals]
        self.rows = rows
        self.at = 0
        self.arrays: list[Values] = []

    def add(self, values: Sequence[Values], rows: int) -> None:
        """The next batch's values, of so many rows."""
        if not self.arrays:
            self.arrays = [
                np.zeros((self.rows if own else 1, *value.shape[1:]), dtype=value.dtype)
                for own, value in zip(self.per_row, values, strict=True)
            ]
        for own, array, value in zip(self.per_row, self.arrays, values, strict=True):
            if own:
                array[self.at : self.at + rows] = value
            else:
                array += value.sum(axis=0, keepdims=True)
        self.at += rows


@dataclass(frozen=True)
class Chunks:
    """The chunks of a pass over a table, in its folder: `batches[i]` are those of chunk i, each an array of rows."""

    folder: Path
    batches: Sequence[Sequence[Rows]]

    @classmethod
    def cut(cls, folder: Path, batches: Sequence[Rows], table: TokenTable, chunk_tokens: int) -> Chunks:
        """Runs of consecutive batches with at least so many tokens; the last has what is left."""
        lengths = table.lengths
        chunks: list[list[Rows]] = [[]]
        tokens = 0
        for rows in batches:
            if tokens >= chunk_tokens:
                chunks.append([])
                tokens = 0
            chunks[-1].append(rows)
            tokens += int(lengths[rows].sum())
        return cls(folder, chunks if chunks[0] else [])

    def path(self, number: int) -> Path:
        """Where a chunk is, once it is whole."""
        return self.folder / f"chunk-{number:06d}.npz"

    def missing(self) -> list[int]:
        """The chunks that are not there."""
        return [number for number in range(len(self.batches)) if not self.path(number).is_file()]

    def keep_only_if_same_plan(self) -> None:
        """Drops chunks that were cut otherwise: their rows are others."""
        if not self.is_open():
            for stale in self.folder.glob("chunk-*"):
                stale.unlink()
            write_json(self.folder / PLAN, self._digest())

    def is_open(self) -> bool:
        """Whether a pass stands there that was cut into these chunks."""
        try:
            return bool(read_json(self.folder / PLAN) == self._digest())
        except StoreError:
            return False

    def _digest(self) -> str:
        return address([[(len(rows), int(rows[0])) for rows in chunk] for chunk in self.batches])

    def in_turn(
        self, missing: Sequence[int], workers: Workers, *, until_whole: bool
    ) -> Generator[int, None, None]:
        """The missing chunks that no other process has, each claimed while it is used; first every count-th.

        `until_whole` waits for what others have, and takes that over from one that died. Claims lie beside the pass,
        whose own folder is renamed in the end. A chunk is missing, too, when the leader has put it where it belongs;
        then the plan went before it.
        """
        left = sorted(missing, key=lambda i: ((i - workers.rank) % workers.count, i))
        while left:
            for number in left:
                claim = FileLock(self.folder.with_suffix(f".{number:06d}.lock"))
                with suppress(Timeout), claim.acquire(blocking=False):
                    if not self.path(number).is_file() and (self.folder / PLAN).is_file():
                        yield number
            left = [number for number in left if until_whole and not self.path(number).is_file()]
            if left:
                time.sleep(WAIT_SECONDS)

    def write(self, number: int, filled: Filling) -> None:
        """A chunk, from what its batches have filled."""
        path = self.path(number)
        part = path.with_suffix(".part")
        with part.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **{str(i): array for i, array in enumerate(filled.arrays)})
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)

    def assemble(self, signals: Sequence[Signal], rows: int) -> None:
        """Scatters the chunks into one file a signal, in row order, through a memory map; then drops them."""
        for i, signal in enumerate(signals):
            self._assemble(i, signal, rows)
        (
            self.folder / PLAN
        ).unlink()  # before the chunks: to other processes a missing chunk is one to measure
        for number in range(len(self.batches)):
            self.path(number).unlink()

    def _assemble(self, i: int, signal: Signal, rows: int) -> None:
        values: Any = None
        for number, chunk in enumerate(self.batches):
            with np.load(self.path(number), allow_pickle=False) as arrays:
                piece = arrays[str(i)]
            if values is None:
                shape = (rows, *piece.shape[1:]) if signal.per_row else piece.shape
                path = self.folder / f"{i}.npy"
                values = np.lib.format.open_memmap(path, "w+", dtype=piece.dtype, shape=shape)
            if signal.per_row:
                values[np.concatenate(list(chunk))] = piece
            else:
                values += piece
        if not signal.per_row:
            values /= rows
        values.flush()
