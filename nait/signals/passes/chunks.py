"""Chunks: the units of a pass on disk. Each is written atomically, and measured by one process at a time.

An incomplete chunk is saved in pieces, `begun-<chunk>-<batches before>-<batches after>.npz`: every
`engine.save_seconds`, and at an interrupt. The process that next claims the chunk resumes after its pieces. The
boundaries of pieces do not change a byte of the result. A damaged file is set aside; its rows are measured again.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.addresses import address
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import StoreError
from nait.core.ranks import WAIT_SECONDS, Workers
from nait.models.tokens.batches import Rows
from nait.signals.passes.chunk_files import DamagedChunk, read_array, read_arrays, write_arrays
from nait.signals.passes.chunk_pieces import ChunkBuffer
from nait.signals.specs.activations import Signal
from nait.store import read_json, set_aside, sync, write_json
from nait.store.files.locks import if_free

PLAN = "plan.json"


@dataclass(frozen=True)
class Chunks:
    """Chunks of a pass over a table, in its folder. `batches[i]`: the batches of chunk i, each an array of rows."""

    folder: Path
    batches: Sequence[Sequence[Rows]]

    @classmethod
    def cut(cls, folder: Path, batches: Sequence[Rows], table: TokenTable, chunk_tokens: int) -> Chunks:
        """Chunks of consecutive batches, each of at least `chunk_tokens` tokens; the last chunk may be smaller."""
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
        """File of a complete chunk."""
        return self.folder / f"chunk-{number:06d}.npz"

    def missing(self) -> list[int]:
        """Numbers of the chunks that are not complete."""
        return [number for number in range(len(self.batches)) if not self.path(number).is_file()]

    def keep_only_if_same_plan(self) -> None:
        """Delete chunks of another plan: they hold other rows."""
        if not self.is_open():
            for pattern in ("chunk-*", "begun-*"):
                for stale in self.folder.glob(pattern):
                    stale.unlink()
            write_json(self.folder / PLAN, self.plan)

    def is_open(self) -> bool:
        """Whether the folder holds a pass with this plan."""
        try:
            return bool(read_json(self.folder / PLAN) == self.plan)
        except StoreError:
            return False

    @cached_property
    def plan(self) -> str:
        """The digest of the rows of each batch."""
        return address([[(len(rows), int(rows[0])) for rows in chunk] for chunk in self.batches])

    def _name(self, number: int, first: int, end: int) -> str:
        """The name of batches `first` to `end` of a chunk of this plan."""
        return f"{self.plan}:{number}:{first}:{end}"

    def claim_missing(
        self, missing: Sequence[int], workers: Workers, *, until_whole: bool
    ) -> Generator[int, None, None]:
        """Yield the numbers of missing chunks that no other process measures. A chunk is locked while it is in use.

        `until_whole`: wait until all chunks are complete, and measure the chunks of a process that died.

        Each worker starts with a different chunk. Lock files lie outside the pass's folder, which is renamed at the
        end. A chunk is measured only while the plan exists: the leader deletes the plan first, then the chunks that
        it has assembled.
        """
        left = sorted(missing, key=lambda i: ((i - workers.rank) % workers.count, i))
        while left:
            for number in left:
                with if_free(self.folder.with_suffix(f".{number:06d}.lock")) as mine:
                    if mine and not self.path(number).is_file() and (self.folder / PLAN).is_file():
                        yield number
            left = [number for number in left if until_whole and not self.path(number).is_file()]
            if left:
                time.sleep(WAIT_SECONDS)

    def write(self, number: int, buffer: ChunkBuffer) -> None:
        """Write a complete chunk and delete its pieces."""
        write_arrays(self.path(number), buffer.arrays, of=self._name(number, 0, buffer.batches))
        for piece in self.folder.glob(f"begun-{number:06d}-*"):
            piece.unlink()

    def save_piece(self, number: int, buffer: ChunkBuffer) -> bool:
        """Write the batches since the last piece as the next piece. False if there are none."""
        if not buffer.has_unsaved:
            return False
        first, end = buffer.saved_batches, buffer.batches
        name = f"begun-{number:06d}-{first:06d}-{end:06d}.npz"
        write_arrays(self.folder / name, buffer.piece(), of=self._name(number, first, end))
        buffer.mark_saved()
        return True

    def resume(self, number: int, signals: Sequence[Signal]) -> ChunkBuffer:
        """A chunk's buffer, restored from its pieces up to the first one that is missing or damaged."""
        batches = self.batches[number]
        buffer = ChunkBuffer(signals, sum(map(len, batches)))
        for path, first, end in self._pieces(number):
            try:
                arrays = read_arrays(path, of=self._name(number, first, end))
                if first != buffer.batches:
                    raise DamagedChunk("does not follow the piece before it")
            except DamagedChunk as error:
                set_aside(path, str(error))
                continue
            buffer.restore(arrays, rows=sum(map(len, batches[first:end])), batches=end - first)
        return buffer

    def _pieces(self, number: int) -> list[tuple[Path, int, int]]:
        """Pieces of a chunk in order: file, batches before it, batches after it."""
        paths = sorted(self.folder.glob(f"begun-{number:06d}-*.npz"))
        return [(path, *map(int, path.stem.split("-")[2:])) for path in paths]  # type: ignore[misc]

    def files(self) -> list[Path]:
        """Files of complete chunks and of pieces."""
        return [*self.folder.glob("chunk-*.npz"), *self.folder.glob("begun-*.npz")]

    def done(self) -> list[Rows]:
        """Batches that are saved in a chunk or a piece."""
        found: list[Rows] = []
        for number, batches in enumerate(self.batches):
            if self.path(number).is_file():
                found += batches
            elif pieces := self._pieces(number):
                found += batches[: pieces[-1][2]]
        return found

    def assemble(self, signals: Sequence[Signal], rows: int) -> None:
        """Write one file per signal, in row order, through a memory map; then delete the chunks.

        Raises: DamagedChunk when a chunk is damaged. It is set aside: measure it again.
        """
        for i, signal in enumerate(signals):
            self._assemble(i, signal, rows)
        sync(self.folder)
        # The plan is deleted first: while it exists, other processes measure missing chunks.
        (self.folder / PLAN).unlink()
        for number in range(len(self.batches)):
            self.path(number).unlink()
        for left in self.folder.glob("begun-*"):  # left by a process that died while it deleted them
            left.unlink()

    def _assemble(self, i: int, signal: Signal, rows: int) -> None:
        values: Any = None
        for number, chunk in enumerate(self.batches):
            try:
                piece = read_array(self.path(number), i, of=self._name(number, 0, len(chunk)))
            except DamagedChunk as error:
                set_aside(self.path(number), str(error))
                raise
            if values is None:
                shape = (rows, *piece.shape[1:]) if signal.per_row else piece.shape
                path = self.folder / f"{i}.npy"
                values = np.lib.format.open_memmap(path, "w+", dtype=piece.dtype, shape=shape)
                _allocate(path)
            if signal.per_row:
                values[np.concatenate(list(chunk))] = piece
            else:
                values += piece
        if not signal.per_row:
            values /= rows
        values.flush()


def _allocate(path: Path) -> None:
    """Allocate the file's disk space now: a write to a memory map on a full disk kills the process (SIGBUS).

    Raises: OSError if there is not enough space.
    """
    if hasattr(os, "posix_fallocate"):  # Linux and most Unixes
        with path.open("r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                    return  # the file system does not support allocation
                raise OSError(error.errno, error.strerror, str(path)) from None
