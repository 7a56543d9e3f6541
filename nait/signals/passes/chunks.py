"""Chunks: the parts in which a pass is written, each whole and renamed, claimed by one process at a time.

What a chunk has before it is whole is kept in pieces, `begun-<chunk>-<batches before it>-<batches with it>.npz`. One
is written when `engine.save_seconds` have passed, and at an interrupt. Whoever claims the chunk next continues after
them. Where pieces end changes no chunk, and so no byte of what the pass leaves.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from nait.core.addresses import address
from nait.core.dataset.token_table import TokenTable
from nait.core.errors import StoreError
from nait.core.ranks import WAIT_SECONDS, Workers
from nait.models.tokens.batches import Rows
from nait.signals.passes.chunk_pieces import Filling, read_arrays, write_arrays
from nait.signals.specs.activations import Signal
from nait.store import read_json, write_json

PLAN = "plan.json"


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
            for pattern in ("chunk-*", "begun-*"):
                for stale in self.folder.glob(pattern):
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
        """A chunk, from what its batches have filled; its pieces go."""
        write_arrays(self.path(number), filled.arrays)
        for piece in self.folder.glob(f"begun-{number:06d}-*"):
            piece.unlink()

    def keep(self, number: int, filled: Filling) -> bool:
        """Writes what came since the last piece as the next one; whether there was any."""
        if not filled.can_be_kept:
            return False
        name = f"begun-{number:06d}-{filled.kept_batches:06d}-{filled.batches:06d}.npz"
        write_arrays(self.folder / name, filled.piece())
        filled.keep()
        return True

    def begun(self, number: int, signals: Sequence[Signal]) -> Filling:
        """A chunk as far as its pieces fill it."""
        batches = self.batches[number]
        filled = Filling(signals, sum(map(len, batches)))
        for path, first, end in self._pieces(number):
            rows = sum(map(len, batches[first:end]))
            filled.restore(read_arrays(path), rows=rows, batches=end - first)
        return filled

    def _pieces(self, number: int) -> list[tuple[Path, int, int]]:
        """The pieces of a chunk in their order: file, batches before it, batches with it."""
        paths = sorted(self.folder.glob(f"begun-{number:06d}-*.npz"))
        return [(path, *map(int, path.stem.split("-")[2:])) for path in paths]  # type: ignore[misc]

    def files(self) -> list[Path]:
        """What is written, of whole chunks and of begun ones."""
        return [*self.folder.glob("chunk-*.npz"), *self.folder.glob("begun-*.npz")]

    def done(self) -> list[Rows]:
        """The batches that are in a chunk or a piece."""
        found: list[Rows] = []
        for number, batches in enumerate(self.batches):
            if self.path(number).is_file():
                found += batches
            elif pieces := self._pieces(number):
                found += batches[: pieces[-1][2]]
        return found

    def assemble(self, signals: Sequence[Signal], rows: int) -> None:
        """Scatters the chunks into one file a signal, in row order, through a memory map; then drops them."""
        for i, signal in enumerate(signals):
            self._assemble(i, signal, rows)
        (
            self.folder / PLAN
        ).unlink()  # before the chunks: to other processes a missing chunk is one to measure
        for number in range(len(self.batches)):
            self.path(number).unlink()
        for left in self.folder.glob("begun-*"):  # of a process that died while it dropped them
            left.unlink()

    def _assemble(self, i: int, signal: Signal, rows: int) -> None:
        values: Any = None
        for number, chunk in enumerate(self.batches):
            with np.load(self.path(number), allow_pickle=False) as arrays:
                piece = arrays[str(i)]
            if values is None:
                shape = (rows, *piece.shape[1:]) if signal.per_row else piece.shape
                path = self.folder / f"{i}.npy"
                values = np.lib.format.open_memmap(path, "w+", dtype=piece.dtype, shape=shape)
                _take_space(path)
            if signal.per_row:
                values[np.concatenate(list(chunk))] = piece
            else:
                values += piece
        if not signal.per_row:
            values /= rows
        values.flush()


def _take_space(path: Path) -> None:
    """Takes the disk space of a whole file now: a map onto a full disk ends the process without a word.

    Raises: OSError where there is not enough.
    """
    if hasattr(os, "posix_fallocate"):  # Linux and most Unixes
        with path.open("r+b") as stream:
            try:
                os.posix_fallocate(stream.fileno(), 0, path.stat().st_size)
            except OSError as error:
                if error.errno in (errno.EOPNOTSUPP, errno.EINVAL):
                    return  # a file system that cannot promise space
                raise OSError(error.errno, error.strerror, str(path)) from None
