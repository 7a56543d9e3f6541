"""Passes: one forward of the decoder over a token table, written to disk in chunks as it goes.

A chunk is a run of consecutive batches. It is written whole and renamed; before it is whole, what it has is written
in pieces, by the clock and at an interrupt. So a killed pass continues after the last batch that was written, and
ends with the same bytes. Memory holds one chunk, whatever the number of rows.

Several processes may share a pass. One leads: it holds the store's lock, and puts the chunks together. Whoever
measures a chunk holds a file lock on it, which the system lets go when the process dies. So no chunk is measured
twice, the leader waits for living processes alone, and none that holds a chunk waits for anything.
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
from nait.core.ranks import ALONE, Workers
from nait.models.tokens.batches import Rows
from nait.signals.forward.prefix_cache import NONE, Prefixes, plan_by_prefix
from nait.signals.passes.chunk_pieces import Filling
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.passes.runners import read_ahead, runner_of
from nait.signals.runtime.malloc_trim import Heap
from nait.signals.specs.activations import Signal
from nait.signals.specs.gradients import GradientSignal
from nait.signals.token_store import forget
from nait.store.attempts import Attempt

log = logging.getLogger(__name__)

SAVE_SHARE = 100
"""A piece may cost at most this part of the time it protects, however large the values of a row are."""
BACKWARD_SHARE = 4
"""A backward pass gets this part of the engine's token budget."""


def run_pass(
    network: Any,
    table: TokenTable,
    signals: Sequence[Signal],
    folder: Path,
    *,
    engine: Engine,
    name: str,
    workers: Workers = ALONE,
) -> Mapping[str, Any]:
    """Writes `<i>.npy` for each signal i into `folder`, from what a killed pass left there and what is made now.

    What earlier attempts took, for the manifest.
    """
    prefixes, chunks = _plan(table, signals, folder, engine)
    chunks.keep_only_if_same_plan()
    attempt = Attempt(folder, kept=chunks.files())
    if missing := chunks.missing():
        turns = chunks.in_turn(missing, workers, until_whole=True)
        saves = ChunkSaves(engine.save_seconds, attempt.keep)
        _measure(
            network, table, signals, chunks, turns, prefixes=prefixes, engine=engine, name=name, saves=saves
        )
    chunks.assemble(signals, len(table))
    return attempt.facts()


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
    prefixes, chunks = _plan(table, signals, folder, engine)
    if chunks.is_open() and (missing := chunks.missing()):
        turns = chunks.in_turn(missing, workers, until_whole=False)
        quiet, saves = replace(engine, progress=False), ChunkSaves(engine.save_seconds)
        _measure(
            network(), table, signals, chunks, turns, prefixes=prefixes, engine=quiet, name=name, saves=saves
        )


@dataclass
class ChunkSaves:
    """Writes chunks, and what they have so far every `seconds`; calls `then` after each write."""

    seconds: float
    then: Callable[[], None] = lambda: None
    cost: float = 0.0
    last: float = field(default_factory=time.monotonic)

    def keep(self, chunks: Chunks, number: int, filled: Filling, *, now: bool = False) -> None:
        """Writes a piece where it is due, or has to be written now."""
        started = time.monotonic()
        wait = self.seconds and max(self.seconds, SAVE_SHARE * self.cost)
        if (now or started - self.last >= wait) and chunks.keep(number, filled):
            self.note()
            self.cost = self.last - started

    def write(self, chunks: Chunks, number: int, filled: Filling) -> None:
        """Writes a whole chunk."""
        chunks.write(number, filled)
        self.note()

    def note(self) -> None:
        """Notes that all work so far has been written."""
        self.then()
        self.last = time.monotonic()


def _plan(
    table: TokenTable, signals: Sequence[Signal], folder: Path, engine: Engine
) -> tuple[Prefixes, Chunks]:
    """What the pass reads once, and its chunks. A backward keeps every layer's activations, a forward one layer's."""
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
) -> None:
    runner = runner_of(network, signals, padding=engine.padding, prefixes=prefixes, packing=engine.packing)
    heap = Heap()
    forget(table)
    with _told(table, chunks, name), _bar(table, chunks, engine, name) as advance, runner, closing(turns):
        for number in turns:
            filled = chunks.begun(number, signals)
            try:
                for rows, values in read_ahead(runner, table, chunks.batches[number][filled.batches :]):
                    filled.add(values, len(rows))
                    forget(table)
                    heap.give_back()
                    advance(rows)
                    saves.keep(chunks, number, filled)
                saves.write(chunks, number, filled)
            except (KeyboardInterrupt, SystemExit):
                saves.keep(chunks, number, filled, now=True)
                raise


@contextmanager
def _told(table: TokenTable, chunks: Chunks, name: str) -> Iterator[None]:
    """An interrupt of the body says what is kept."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        kept = sum(map(len, chunks.done()))
        log.warning("Reading %s: %d of %d rows are measured and kept.", name, kept, len(table))
        raise


@contextmanager
def _bar(table: TokenTable, chunks: Chunks, engine: Engine, name: str) -> Iterator[Callable[[Rows], None]]:
    """A progress bar over a pass's tokens, which begins with what was kept: what to call with each batch's rows."""
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
