"""Running a pass: measure a token table batch by batch, and write it to disk in chunks.

A chunk is a run of consecutive batches, written atomically. An incomplete chunk is saved in pieces, at intervals
and at an interrupt. A killed pass resumes after the last saved batch and ends with the same bytes. Memory holds one
chunk, whatever the number of rows.

Several processes may share a pass. The leader holds the store's lock and assembles the chunks. A process that
measures a chunk holds a file lock on it, which the system releases when the process dies. So no chunk is measured
twice, and the leader waits only for live processes. Lock holders never block, so there is no deadlock.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nait.core.dataset.token_table import TokenTable
from nait.core.ranks import SINGLE_PROCESS, Workers
from nait.models.tokens.batches import Rows
from nait.signals.forward.prefix_cache import NONE, Prefixes, plan_by_prefix
from nait.signals.passes.chunk_files import DamagedChunk
from nait.signals.passes.chunk_pieces import ChunkBuffer
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.passes.runners import read_ahead, runner_of
from nait.signals.runtime.malloc_trim import Heap
from nait.signals.specs.activations import Signal
from nait.signals.specs.gradients import GradientSignal
from nait.signals.token_store import release_pages
from nait.store.attempts import Attempt

log = logging.getLogger(__name__)

Meters = list[dict[str, Any]]
"""For each meter its `signals` and its `seconds` (`Runner.meter_seconds`)."""
SAVE_SHARE = 100
"""Time between two pieces is at least this many times the time that one takes to write."""
BACKWARD_SHARE = 4
"""Divisor of the engine's token budget for a backward pass."""


def run_pass(
    network: Callable[[], Any],
    table: TokenTable,
    signals: Sequence[Signal],
    folder: Path,
    *,
    engine: Engine,
    name: str,
    workers: Workers = SINGLE_PROCESS,
) -> Mapping[str, Any]:
    """Write `<i>.npy` for each signal i into `folder`, resuming from a killed pass.

    `network` opens the network, if a chunk is missing.

    Returns facts for the manifest: the cost of earlier attempts, and the seconds of each meter in all of them.
    """
    prefixes, chunks = _plan(table, signals, folder, engine)
    chunks.keep_only_if_same_plan()
    if chunks.missing():
        network()  # the cost of opening it is not part of the attempt's cost
    attempt = Attempt(folder, kept=chunks.files())
    meters: Meters = attempt.earlier_meters
    while True:
        if missing := chunks.missing():
            turns = chunks.claim_missing(missing, workers, until_whole=True)
            saves = ChunkSaves(engine.save_seconds, attempt.keep, meters)
            meters = _measure(
                network(),
                table,
                signals,
                chunks,
                turns,
                prefixes=prefixes,
                engine=engine,
                name=name,
                saves=saves,
            )
        try:
            chunks.assemble(signals, len(table))
        except DamagedChunk:  # it is set aside: measure it again
            continue
        return {**attempt.facts(), **({"meters": meters} if meters else {})}


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
    """Measure chunks of a pass that another process leads in `folder`, until none is free.

    Returns at once if no process has started that pass, or its plan differs.
    """
    prefixes, chunks = _plan(table, signals, folder, engine)
    if chunks.is_open() and (missing := chunks.missing()):
        turns = chunks.claim_missing(missing, workers, until_whole=False)
        quiet, saves = replace(engine, progress=False), ChunkSaves(engine.save_seconds)
        _measure(
            network(), table, signals, chunks, turns, prefixes=prefixes, engine=quiet, name=name, saves=saves
        )


@dataclass
class ChunkSaves:
    """Writes chunks, and pieces of incomplete ones every `seconds`; calls `then` after each write.

    `then` is given the seconds of each meter over all attempts: `before` has those of earlier attempts, and
    `measured` returns those of this one.
    """

    seconds: float
    then: Callable[[Meters], None] = lambda _: None
    before: Meters = field(default_factory=list)
    measured: Callable[[], Meters] = list
    cost: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def save(self, chunks: Chunks, number: int, buffer: ChunkBuffer, *, now: bool = False) -> None:
        """Write a piece if one is due, or `now`."""
        started = time.monotonic()
        wait = self.seconds and max(self.seconds, SAVE_SHARE * self.cost)
        if (now or started - self.last >= wait) and chunks.save_piece(number, buffer):
            self._mark_saved()
            self.cost = self.last - started

    def write(self, chunks: Chunks, number: int, buffer: ChunkBuffer) -> None:
        """Write a complete chunk."""
        chunks.write(number, buffer)
        self._mark_saved()

    def _mark_saved(self) -> None:
        """Record that all work so far is on disk."""
        self.then(self.meters())
        self.last = time.monotonic()

    def meters(self) -> Meters:
        """The seconds of each meter in all attempts."""
        found = self.measured()
        if len(found) != len(self.before):
            return found or self.before
        return [
            {**one, "seconds": round(one["seconds"] + other["seconds"], 4)}
            for one, other in zip(found, self.before, strict=True)
        ]


def _plan(
    table: TokenTable, signals: Sequence[Signal], folder: Path, engine: Engine
) -> tuple[Prefixes, Chunks]:
    """Cached prefixes and chunks. A backward pass keeps every layer's activations, so its batches are smaller."""
    backward = any(isinstance(signal, GradientSignal) for signal in signals)
    prefixes = NONE if backward else engine.prefixes(table)
    batch_tokens = max(1, engine.batch_tokens // (BACKWARD_SHARE if backward else 1))
    batches = plan_by_prefix(table.lengths, batch_tokens, prefixes)
    return prefixes, Chunks.cut(folder, batches, table, engine.chunk_tokens)


def _measure(
    network: Any,
    table: TokenTable,
    signals: Sequence[Signal],
    chunks: Chunks,
    turns: Generator[int, None, None],
    *,
    prefixes: Prefixes,
    engine: Engine,
    name: str,
    saves: ChunkSaves,
) -> list[dict[str, Any]]:
    """Measure the chunks of `turns`. Returns each meter's seconds in all attempts; empty where they are unknown."""
    runner = runner_of(network, signals, padding=engine.padding, prefixes=prefixes, packing=engine.packing)
    saves.measured = getattr(runner, "meter_seconds", list)  # a backward pass has none
    heap = Heap()
    release_pages(table)
    with (
        _report_interrupt(table, chunks, name),
        _progress(table, chunks, engine, name) as advance,
        runner,
        closing(turns),
    ):
        for number in turns:
            buffer = chunks.resume(number, signals)
            try:
                for rows, values in read_ahead(runner, table, chunks.batches[number][buffer.batches :]):
                    buffer.add(values, len(rows))
                    release_pages(table)
                    heap.trim()
                    advance(rows)
                    saves.save(chunks, number, buffer)
                saves.write(chunks, number, buffer)
            except (KeyboardInterrupt, SystemExit):
                saves.save(chunks, number, buffer, now=True)
                raise
    return saves.meters()


@contextmanager
def _report_interrupt(table: TokenTable, chunks: Chunks, name: str) -> Iterator[None]:
    """Log at an interrupt how many rows are saved."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        kept = sum(map(len, chunks.done()))
        log.warning("Reading %s: %d of %d rows are measured and kept.", name, kept, len(table))
        raise


@contextmanager
def _progress(
    table: TokenTable, chunks: Chunks, engine: Engine, name: str
) -> Iterator[Callable[[Rows], None]]:
    """A progress bar over the tokens of a pass, saved ones included. Yields a function that takes a batch's rows."""
    from tqdm import tqdm

    lengths, new_rows = table.lengths, 0
    kept = sum(int(lengths[rows].sum()) for rows in chunks.done())

    def advance(rows: Rows) -> None:
        nonlocal new_rows
        new_rows += len(rows)
        bar.update(int(lengths[rows].sum()))
        rate = new_rows / max(bar.format_dict["elapsed"], 1e-9)
        bar.set_postfix_str(f"{rate:.0f} rows/s", refresh=False)

    with tqdm(
        total=int(lengths.sum()), initial=kept, unit="tok", unit_scale=True, desc=f"reading {name}",
        disable=not engine.progress, mininterval=0.5 if sys.stderr.isatty() else 30.0,
    ) as bar:  # fmt: skip
        yield advance
