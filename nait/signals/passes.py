"""Passes: one forward of the decoder over a token table, written to disk in chunks as it goes.

A chunk is a run of consecutive batches. It is written whole and renamed, so a killed pass goes on at the first
missing chunk and ends with the same bytes. Memory holds one chunk, whatever the number of rows.

Several processes may share a pass. One leads: it holds the store's lock, and puts the chunks together. Whoever
measures a chunk holds a file lock on it, which the system lets go when the process dies. So no chunk is measured
twice, the leader waits for living processes alone, and none that holds a chunk waits for anything.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from nait.core.address import address
from nait.core.errors import ConfigError, NaitError, StoreError, did_you_mean
from nait.core.tokens import TokenTable
from nait.core.workers import ALONE, Workers
from nait.models.batches import Rows, Side
from nait.signals.gradients import GradientSignal
from nait.signals.heap import Heap
from nait.signals.packing import WHEN, When
from nait.signals.prefixes import NONE, Prefixes, find_prefixes, plan_by_prefix, worthwhile
from nait.signals.readings import Signal
from nait.signals.runners import Values, runner_of
from nait.signals.tokens import forget
from nait.store import read_json, write_json

PLAN = "plan.json"
WAIT_SECONDS = 0.05
BACKWARD_SHARE = 4
"""A backward pass gets this part of the engine's token budget."""


@dataclass(frozen=True)
class Engine:
    """How a pass runs: nothing here may change a number beyond float rounding.

    `share_prefixes` reads tokens that many rows begin with once, where padding is on the right. `packing` reads what
    rows of a batch do not share as one sequence without padding: `auto` where the model's attention is of the flash
    kind, `always`, or `never`.
    """

    batch_tokens: int = 8192
    chunk_tokens: int = 1_000_000
    padding: Side = "right"
    share_prefixes: bool = True
    packing: When = "auto"
    progress: bool = True

    def __post_init__(self) -> None:
        if self.packing not in WHEN:
            raise ConfigError(
                f"'{self.packing}' is not a way of packing",
                where="engine.packing",
                mend=did_you_mean(str(self.packing), WHEN),
            )
        for key in ("batch_tokens", "chunk_tokens"):
            if getattr(self, key) < 1:
                raise NaitError(
                    f"{getattr(self, key)} is below 1", where=f"engine.{key}", mend="Give 1 or more."
                )

    def prefixes(self, table: TokenTable) -> Prefixes:
        """The prefixes that a forward pass over the table reads once, where that pays."""
        return self.paying(find_prefixes(table), table.lengths)

    def paying(self, prefixes: Prefixes, lengths: npt.NDArray[np.int64]) -> Prefixes:
        """These prefixes where a pass over rows of these lengths [N] reads them once; else none."""
        if not self.share_prefixes or self.padding != "right":
            return NONE
        return worthwhile(prefixes, lengths, self.batch_tokens)


def run_pass(
    network: Any,
    table: TokenTable,
    signals: Sequence[Signal],
    folder: Path,
    *,
    engine: Engine,
    name: str,
    workers: Workers = ALONE,
) -> None:
    """Writes `<i>.npy` for each signal i into `folder`, from the chunks a killed pass left there or made now."""
    prefixes = _prefixes_of(table, signals, engine)
    chunks = _chunks_of(table, prefixes, signals, engine)
    _keep_only_if_same_plan(folder, chunks)
    if missing := _missing(folder, chunks):
        turns = _in_turn(folder, missing, workers, until_whole=True)
        _measure(network, table, signals, folder, chunks, turns, prefixes=prefixes, engine=engine, name=name)
    _assemble(folder, signals, chunks, len(table))


def join_pass(
    network: Callable[[], Any],
    table: TokenTable,
    signals: Sequence[Signal],
    folder: Path,
    *,
    engine: Engine,
    name: str,
    workers: Workers,
) -> None:
    """Measures chunks of a pass that another process leads in `folder`; comes back when none is to be had.

    Does nothing where no process has begun that pass, or has cut it otherwise.
    """
    prefixes = _prefixes_of(table, signals, engine)
    chunks = _chunks_of(table, prefixes, signals, engine)
    if _is_open(folder, chunks) and (missing := _missing(folder, chunks)):
        turns = _in_turn(folder, missing, workers, until_whole=False)
        quiet = replace(engine, progress=False)
        _measure(network(), table, signals, folder, chunks, turns, prefixes=prefixes, engine=quiet, name=name)


def _prefixes_of(table: TokenTable, signals: Sequence[Signal], engine: Engine) -> Prefixes:
    return NONE if _backward(signals) else engine.prefixes(table)


def _chunks_of(
    table: TokenTable, prefixes: Prefixes, signals: Sequence[Signal], engine: Engine
) -> list[list[Rows]]:
    batches = plan_by_prefix(table.lengths, _batch_tokens(signals, engine), prefixes)
    return list(_chunks(batches, table, engine.chunk_tokens))


def _missing(folder: Path, chunks: Sequence[Any]) -> list[int]:
    return [i for i in range(len(chunks)) if not _chunk(folder, i).is_file()]


def _chunks(batches: Sequence[Rows], table: TokenTable, chunk_tokens: int) -> Iterator[list[Rows]]:
    lengths = table.lengths
    chunk: list[Rows] = []
    tokens = 0
    for rows in batches:
        chunk.append(rows)
        tokens += int(lengths[rows].sum())
        if tokens >= chunk_tokens:
            yield chunk
            chunk, tokens = [], 0
    if chunk:
        yield chunk


def _keep_only_if_same_plan(folder: Path, chunks: Sequence[Sequence[Rows]]) -> None:
    """Drop chunks that were cut otherwise: their rows are others."""
    if not _is_open(folder, chunks):
        for stale in folder.glob("chunk-*"):
            stale.unlink()
        write_json(folder / PLAN, _plan_digest(chunks))


def _is_open(folder: Path, chunks: Sequence[Sequence[Rows]]) -> bool:
    """Whether a pass stands there that was cut into these chunks."""
    try:
        return bool(read_json(folder / PLAN) == _plan_digest(chunks))
    except StoreError:
        return False


def _plan_digest(chunks: Sequence[Sequence[Rows]]) -> str:
    return address([[(len(rows), int(rows[0])) for rows in chunk] for chunk in chunks])


def _chunk(folder: Path, number: int) -> Path:
    return folder / f"chunk-{number:06d}.npz"


def _in_turn(
    folder: Path, missing: Sequence[int], workers: Workers, *, until_whole: bool
) -> Generator[int, None, None]:
    """The missing chunks that no other process has, each claimed while it is used; first every count-th.

    `until_whole` waits for what others have, and takes that over from one that died. Claims lie beside the pass,
    whose own folder is renamed in the end. A chunk is missing, too, when the leader has put it where it belongs;
    then the plan went before it.
    """
    left = sorted(missing, key=lambda i: ((i - workers.rank) % workers.count, i))
    while left:
        for number in left:
            claim = FileLock(folder.with_suffix(f".{number:06d}.lock"))
            with suppress(Timeout), claim.acquire(blocking=False):
                if not _chunk(folder, number).is_file() and (folder / PLAN).is_file():
                    yield number
        left = [number for number in left if until_whole and not _chunk(folder, number).is_file()]
        if left:
            time.sleep(WAIT_SECONDS)


def _measure(
    network: Any,
    table: TokenTable,
    signals: Sequence[Signal],
    folder: Path,
    chunks: Sequence[Sequence[Rows]],
    turns: Generator[int, None, None],
    *,
    prefixes: Prefixes,
    engine: Engine,
    name: str,
) -> None:
    from tqdm import tqdm

    lengths = table.lengths
    total = int(lengths.sum())
    left = sum(int(lengths[rows].sum()) for i in _missing(folder, chunks) for rows in chunks[i])
    runner = runner_of(network, signals, padding=engine.padding, prefixes=prefixes, packing=engine.packing)
    rows_done, heap = 0, Heap()
    forget(table)
    with tqdm(
        total=total, initial=total - left, unit="tok", unit_scale=True, desc=f"reading {name}",
        disable=not engine.progress, mininterval=0.5 if sys.stderr.isatty() else 30.0,
    ) as bar, runner, closing(turns):  # fmt: skip
        for number in turns:
            parts = []
            for rows in chunks[number]:
                parts.append(runner.read(table, rows))
                forget(table)
                heap.give_back()
                rows_done += len(rows)
                bar.update(int(lengths[rows].sum()))
                bar.set_postfix_str(
                    f"{rows_done / max(bar.format_dict['elapsed'], 1e-9):.0f} rows/s", refresh=False
                )
            _write_chunk(_chunk(folder, number), signals, parts)


def _batch_tokens(signals: Sequence[Signal], engine: Engine) -> int:
    """A backward keeps every layer's activations, a forward one layer's."""
    share = BACKWARD_SHARE if _backward(signals) else 1
    return max(1, engine.batch_tokens // share)


def _backward(signals: Sequence[Signal]) -> bool:
    return any(isinstance(signal, GradientSignal) for signal in signals)


def _write_chunk(path: Path, signals: Sequence[Signal], parts: Sequence[Sequence[Values]]) -> None:
    arrays = {}
    for i, signal in enumerate(signals):
        pieces = [part[i] for part in parts]
        arrays[str(i)] = (
            np.concatenate(pieces) if signal.per_row else np.sum(pieces, axis=0).sum(axis=0, keepdims=True)
        )
    part = path.with_suffix(".part")
    with part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def _assemble(folder: Path, signals: Sequence[Signal], chunks: Sequence[Sequence[Rows]], rows: int) -> None:
    """Scatter the chunks into one file a signal, in row order, through a memory map; then drop them."""
    for i, signal in enumerate(signals):
        values: Any = None
        for number, chunk in enumerate(chunks):
            with np.load(_chunk(folder, number), allow_pickle=False) as arrays:
                piece = arrays[str(i)]
            if values is None:
                shape = (rows, *piece.shape[1:]) if signal.per_row else piece.shape
                values = np.lib.format.open_memmap(folder / f"{i}.npy", "w+", dtype=piece.dtype, shape=shape)
            if signal.per_row:
                values[np.concatenate(list(chunk))] = piece
            else:
                values += piece
        if not signal.per_row:
            values /= rows
        values.flush()
        del values
    (folder / PLAN).unlink()  # before the chunks: to other processes a missing chunk is one to measure
    for number in range(len(chunks)):
        _chunk(folder, number).unlink()
