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
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from nait.core.address import address
from nait.core.errors import NaitError, StoreError
from nait.core.tokens import TokenTable
from nait.models.batches import Rows, Side, collate, plan
from nait.models.sites import Anatomy, dissect
from nait.signals.backward import GradientRunner
from nait.signals.batching import decoder_options, read_in_halves
from nait.signals.gradients import GradientSignal
from nait.signals.logits import head_of
from nait.signals.meters import Meter, ReadingMeter, hook
from nait.signals.outputs import OutputMeter
from nait.signals.readings import (
    Choice,
    Losses,
    OutputSignal,
    Reading,
    ReadingSignal,
    Signal,
)
from nait.store import read_json, write_json

if TYPE_CHECKING:
    import torch

PLAN = "plan.json"
WAIT_SECONDS = 0.05
BACKWARD_SHARE = 4
"""A backward pass gets this part of the engine's token budget."""

Values = npt.NDArray[Any]
"""A signal's values for a batch or a chunk of rows."""


@dataclass(frozen=True)
class Engine:
    """How a pass runs: nothing here may change a number beyond float rounding."""

    batch_tokens: int = 8192
    chunk_tokens: int = 1_000_000
    padding: Side = "right"
    progress: bool = True

    def __post_init__(self) -> None:
        for key in ("batch_tokens", "chunk_tokens"):
            if getattr(self, key) < 1:
                raise NaitError(
                    f"{getattr(self, key)} is below 1", where=f"engine.{key}", mend="Give 1 or more."
                )


@dataclass(frozen=True)
class Workers:
    """The processes that share a pass: this one's number, and how many they are."""

    rank: int = 0
    count: int = 1


def workers_of(environment: Mapping[str, str]) -> Workers:
    """The processes that torchrun, or who names them likewise, has started."""
    return Workers(int(environment.get("RANK", 0)), int(environment.get("WORLD_SIZE", 1)))


def run_pass(
    network: Any,
    reopen: Callable[[], TokenTable],
    signals: Sequence[Signal],
    folder: Path,
    *,
    engine: Engine,
    name: str,
    workers: Workers = Workers(),
) -> None:
    """Writes `<i>.npy` for each signal i into `folder`, from the chunks a killed pass left there or made now.

    `reopen` maps the rows' tokens: anew for each chunk, so that memory holds no more than a chunk of them.
    """
    table = reopen()
    chunks = _chunks_of(table, signals, engine)
    _keep_only_if_same_plan(folder, chunks)
    if missing := _missing(folder, chunks):
        turns = _in_turn(folder, missing, workers, until_whole=True)
        _measure(network, reopen, signals, folder, chunks, turns, engine=engine, name=name)
    _assemble(folder, signals, chunks, len(table))


def join_pass(
    network: Callable[[], Any],
    reopen: Callable[[], TokenTable],
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
    chunks = _chunks_of(reopen(), signals, engine)
    if _is_open(folder, chunks) and (missing := _missing(folder, chunks)):
        turns = _in_turn(folder, missing, workers, until_whole=False)
        quiet = replace(engine, progress=False)
        _measure(network(), reopen, signals, folder, chunks, turns, engine=quiet, name=name)


def _chunks_of(table: TokenTable, signals: Sequence[Signal], engine: Engine) -> list[list[Rows]]:
    batches = plan(table.lengths, _batch_tokens(signals, engine))
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
    return address([[len(rows) for rows in chunk] for chunk in chunks])


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
    reopen: Callable[[], TokenTable],
    signals: Sequence[Signal],
    folder: Path,
    chunks: Sequence[Sequence[Rows]],
    turns: Generator[int, None, None],
    *,
    engine: Engine,
    name: str,
) -> None:
    from tqdm import tqdm

    lengths = reopen().lengths
    total = int(lengths.sum())
    left = sum(int(lengths[rows].sum()) for i in _missing(folder, chunks) for rows in chunks[i])
    runner = runner_of(network, signals, padding=engine.padding)
    rows_done = 0
    with tqdm(
        total=total, initial=total - left, unit="tok", unit_scale=True, desc=f"reading {name}",
        disable=not engine.progress, mininterval=0.5 if sys.stderr.isatty() else 30.0,
    ) as bar, runner, closing(turns):  # fmt: skip
        for number in turns:
            table = reopen()  # what the last chunk read from disk leaves memory with the old map
            parts = []
            for rows in chunks[number]:
                parts.append(runner.read(table, rows))
                rows_done += len(rows)
                bar.update(int(lengths[rows].sum()))
                bar.set_postfix_str(
                    f"{rows_done / max(bar.format_dict['elapsed'], 1e-9):.0f} rows/s", refresh=False
                )
            _write_chunk(_chunk(folder, number), signals, parts)


def _batch_tokens(signals: Sequence[Signal], engine: Engine) -> int:
    """A backward keeps every layer's activations, a forward one layer's."""
    backward = any(isinstance(signal, GradientSignal) for signal in signals)
    return max(1, engine.batch_tokens // BACKWARD_SHARE) if backward else engine.batch_tokens


def runner_of(network: Any, signals: Sequence[Signal], *, padding: Side = "right") -> Runner | GradientRunner:
    """What reads these signals batch by batch: a forward pass, or one forward and backward.

    Raises: NaitError for a request that mixes the two; they take different batches and memory.
    """
    backward = [signal for signal in signals if isinstance(signal, GradientSignal)]
    if not backward:
        return Runner(network, signals, padding=padding)
    if len(backward) < len(signals):
        raise NaitError(
            "gradients and readings were asked for together",
            where="measure",
            mend="Measure each kind in a request of its own.",
        )
    return GradientRunner(network, backward, padding=padding)


class _Reached(Exception):  # noqa: N818 (no error: it ends a forward that has given all that is asked for)
    """The block at the pass's depth has run; this is what it gave."""

    def __init__(self, h_btd: torch.Tensor) -> None:
        super().__init__()
        self.h_btd = h_btd


class Runner:
    """Runs the decoder over batches, with the signals' hooks attached.

    The LM head runs where a signal needs it, and only on the positions that it needs. Where every signal has a
    depth, the decoder stops at the deepest: no later block runs, nor the final norm.
    """

    def __init__(self, network: Any, signals: Sequence[Signal], *, padding: Side = "right") -> None:
        self.anatomy: Anatomy = dissect(network)
        self.device = str(next(network.parameters()).device)
        # Any id does, since no real token sees it; the pad id itself makes some models warn.
        self.fill_id = 1 if getattr(network.config, "pad_token_id", None) == 0 else 0
        self.padding: Side = padding
        self.meters = list(_meters(signals, network, self.anatomy, self.device))
        self.depth = _depth(signals, self.anatomy)
        self.handles: list[Any] = []
        self.count = len(signals)

    def __enter__(self) -> Runner:
        self.handles = [handle for meter, _ in self.meters for handle in meter.attach()]
        if self.depth < self.anatomy.layers:  # behind the meters' own hooks on that block
            self.handles.append(hook(self.anatomy.point("residual", self.depth), _stop))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def read(self, table: TokenTable, rows: Rows) -> list[Values]:
        """One array a signal for these rows. Out of memory halves the batch and goes on, saying so."""
        return read_in_halves(lambda part: self._read(table, part), rows)

    def _read(self, table: TokenTable, rows: Rows) -> list[Values]:
        import torch

        batch = collate(table, rows, fill_id=self.fill_id, device=self.device, side=self.padding)
        for meter, _ in self.meters:
            meter.start(batch)
        options = decoder_options(self.anatomy, batch)
        values: list[Values] = [np.empty(0)] * self.count
        with torch.inference_mode():
            h_btd = self._forward(input_ids=batch.input_ids, use_cache=False, **options)
            for meter, numbers in self.meters:
                for number, value in zip(numbers, meter.finish(h_btd), strict=True):
                    values[number] = value
        return values

    def _forward(self, **inputs: Any) -> torch.Tensor:
        """The decoder's output, or that of the block at which it stops."""
        try:
            output: torch.Tensor = self.anatomy.decoder(**inputs).last_hidden_state
        except _Reached as reached:
            return reached.h_btd
        return output


def _stop(h_btd: torch.Tensor) -> None:
    raise _Reached(h_btd)


def _depth(signals: Sequence[Signal], anatomy: Anatomy) -> int:
    """The last layer that any of the signals needs."""
    depths = [signal.reading.depth if isinstance(signal, ReadingSignal) else None for signal in signals]
    return max(anatomy.layers if depth is None else depth for depth in depths)


def _meters(
    signals: Sequence[Signal], network: Any, anatomy: Anatomy, device: str
) -> Iterator[tuple[Meter, list[int]]]:
    """One meter a reading and one for the decoder's output, each with the numbers of its signals."""
    inside: dict[Reading, list[tuple[int, ReadingSignal]]] = {}
    outputs: list[tuple[int, OutputSignal]] = []
    for number, signal in enumerate(signals):
        if isinstance(signal, OutputSignal):
            outputs.append((number, signal))
        elif isinstance(signal, ReadingSignal):
            inside.setdefault(signal.reading, []).append((number, signal))
        else:
            raise TypeError(f"a forward pass has no meter for {type(signal).__name__}")
    for reading, asked in inside.items():
        meter = ReadingMeter(reading, [signal for _, signal in asked], anatomy, device)
        yield meter, [number for number, _ in asked]
    if outputs:
        needs_head = any(isinstance(signal, Losses | Choice) for _, signal in outputs)
        head = head_of(network, anatomy) if needs_head else None
        yield OutputMeter([signal for _, signal in outputs], head), [number for number, _ in outputs]


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
