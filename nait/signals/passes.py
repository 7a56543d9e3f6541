"""Passes: one forward of the decoder over a token table, written to disk in chunks as it goes.

A chunk is a run of consecutive batches. It is written whole and renamed, so a killed pass goes on at the first
missing chunk and ends with the same bytes. Memory holds one chunk, whatever the number of rows.

Several processes may share a pass. One leads: it holds the store's lock, and puts the chunks together. Whoever
measures a chunk holds a file lock on it, which the system lets go when the process dies. So no chunk is measured
twice, the leader waits for living processes alone, and none that holds a chunk waits for anything.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from nait.core.tokens import TokenTable
from nait.core.workers import ALONE, Workers
from nait.signals.chunks import Chunks, Filling
from nait.signals.engine import Engine
from nait.signals.gradients import GradientSignal
from nait.signals.heap import Heap
from nait.signals.prefixes import NONE, Prefixes, plan_by_prefix
from nait.signals.readings import Signal
from nait.signals.runners import read_ahead, runner_of
from nait.signals.tokens import forget

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
) -> None:
    """Writes `<i>.npy` for each signal i into `folder`, from the chunks a killed pass left there or made now."""
    prefixes, chunks = _plan(table, signals, folder, engine)
    chunks.keep_only_if_same_plan()
    if missing := chunks.missing():
        turns = chunks.in_turn(missing, workers, until_whole=True)
        _measure(network, table, signals, chunks, turns, prefixes=prefixes, engine=engine, name=name)
    chunks.assemble(signals, len(table))


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
        quiet = replace(engine, progress=False)
        _measure(network(), table, signals, chunks, turns, prefixes=prefixes, engine=quiet, name=name)


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
) -> None:
    from tqdm import tqdm

    lengths = table.lengths
    total = int(lengths.sum())
    left = sum(int(lengths[rows].sum()) for number in chunks.missing() for rows in chunks.batches[number])
    runner = runner_of(network, signals, padding=engine.padding, prefixes=prefixes, packing=engine.packing)
    rows_done, heap = 0, Heap()
    forget(table)
    with tqdm(
        total=total, initial=total - left, unit="tok", unit_scale=True, desc=f"reading {name}",
        disable=not engine.progress, mininterval=0.5 if sys.stderr.isatty() else 30.0,
    ) as bar, runner, closing(turns):  # fmt: skip
        for number in turns:
            batches = chunks.batches[number]
            filled = Filling(signals, sum(map(len, batches)))
            for rows, values in read_ahead(runner, table, batches):
                filled.add(values, len(rows))
                forget(table)
                heap.give_back()
                rows_done += len(rows)
                bar.update(int(lengths[rows].sum()))
                bar.set_postfix_str(
                    f"{rows_done / max(bar.format_dict['elapsed'], 1e-9):.0f} rows/s", refresh=False
                )
            chunks.write(number, filled)
