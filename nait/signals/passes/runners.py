"""Runners: measure the signals of a batch in one forward pass, or one forward and backward pass."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError, ModelError, NaitError
from nait.models.anatomy import Anatomy, HookPoint, device_of, dissect
from nait.models.devices.tensor_parallel import is_split
from nait.models.lm_head import head_of
from nait.models.tokens.batches import Batch, Rows, Side, batch_width, collate
from nait.signals.backward.gradient_runner import GradientRunner
from nait.signals.forward.activation_meters import Meter, ReadingMeter, hook
from nait.signals.forward.output_meters import OutputMeter
from nait.signals.forward.packing import Packing, When
from nait.signals.forward.padding_check import PaddingCheck
from nait.signals.forward.prefix_cache import NONE, Continuation, Ints, Prefixes, Take
from nait.signals.runtime.host_transfer import HostTransfer, Values, joined
from nait.signals.runtime.meter_times import MeterTimes
from nait.signals.runtime.out_of_memory import MemoryFit, decoder_options
from nait.signals.specs.activations import (
    Choice,
    Losses,
    OutputSignal,
    Reading,
    ReadingSignal,
    Signal,
)
from nait.signals.specs.gradients import GradientSignal

if TYPE_CHECKING:
    import torch

READS_PADDING = ("recurrent_gemma", "rwkv", "xlstm")
"""Model types whose recurrent layers run over padding before a text, whatever the attention mask."""


def runner_of(
    network: Any,
    signals: Sequence[Signal],
    *,
    padding: Side = "right",
    prefixes: Prefixes = NONE,
    packing: When = "never",
) -> Runner | GradientRunner:
    """The runner for these signals: `Runner` for forward signals, `GradientRunner` for gradients.

    Raises: NaitError for a mix of the two, which need different batch sizes; ModelError for gradients of a
    tensor-parallel model; ConfigError for padding on the left of a model that is known to read it. The first padded
    batch shows whether any other model reads padding (`PaddingCheck`).
    """
    _check_padding(network, padding)
    backward = [signal for signal in signals if isinstance(signal, GradientSignal)]
    if backward and is_split(network):
        check_split(signals)
    if not backward:
        return Runner(network, signals, padding=padding, prefixes=prefixes, packing=packing)
    if len(backward) < len(signals):
        raise NaitError(
            "gradients and forward signals are requested together",
            where="measure",
            fix="Measure them in two calls.",
        )
    return GradientRunner(network, backward, padding=padding)


def _check_padding(network: Any, padding: Side) -> None:
    """Raises: ConfigError for padding on the left of a model whose recurrent layers do not leave it out."""
    kind = getattr(network.config, "model_type", "")
    if padding == "left" and kind in READS_PADDING:
        fix = "Set engine.padding=right: a text's tokens then come before its padding."
        raise ConfigError(
            f"the recurrent layers of {kind} read padding on the left", where="engine.padding", fix=fix
        )


def read_ahead(
    runner: Runner | GradientRunner, table: TokenTable, batches: Iterable[Rows]
) -> Iterator[tuple[Rows, list[Values]]]:
    """Rows and values of each batch, one array per signal. The next batch starts while values are copied to the host.

    An interrupt at the start of a batch is raised after the values of the previous batch are yielded.
    """
    waiting: tuple[Rows, list[HostTransfer]] | None = None
    for rows in batches:
        try:
            begun = rows, runner.begin(table, rows)
        except (KeyboardInterrupt, SystemExit):
            if waiting is not None:
                yield waiting[0], joined(waiting[1])
            raise
        if waiting is not None:
            yield waiting[0], joined(waiting[1])
        waiting = begun
    if waiting is not None:
        yield waiting[0], joined(waiting[1])


class _StopForward(Exception):  # noqa: N818 (control flow, not an error)
    """Ends a forward pass early, at the deepest block that a signal needs; carries that block's output."""

    def __init__(self, h_btd: torch.Tensor) -> None:
        super().__init__()
        self.h_btd = h_btd


class Runner:
    """Runs the decoder over batches, with the signals' hooks attached.

    The LM head runs only for signals that need it, at the positions that they need. If every signal has a depth, the
    decoder stops at the deepest one, before later blocks and the final norm. Batches whose rows share one of the
    `prefixes` use its cached keys and values; other batches are packed or padded, according to `packing`.
    """

    def __init__(
        self,
        network: Any,
        signals: Sequence[Signal],
        *,
        padding: Side = "right",
        prefixes: Prefixes = NONE,
        packing: When = "never",
    ) -> None:
        self.anatomy: Anatomy = dissect(network)
        self.device = device_of(network)
        # Any id works: no real token attends to it. Some models warn about the pad id itself.
        self.fill_id = 1 if getattr(network.config, "pad_token_id", None) == 0 else 0
        self.padding: Side = padding
        self.meters = list(_meters(signals, network, self.anatomy, self.device))
        split = is_split(network)
        if split:
            check_split(signals)
        # A tensor-parallel decoder also runs in other processes, which cache no prefixes and do not stop early.
        self.depth = self.anatomy.layers if split else _depth(signals, self.anatomy)
        self.handles: list[Any] = []
        self.count = len(signals)
        self.prefixes = prefixes if padding == "right" and not split else NONE
        self.continuation = Continuation(self.anatomy.decoder, self.device)
        self.packing = Packing(self.anatomy, packing)
        self.check_padding = PaddingCheck(self.anatomy, self.depth)
        self.fit = MemoryFit(retry=not split)
        self.times = MeterTimes(len(self.meters), self.device)

    def __enter__(self) -> Runner:
        self.handles = [
            handle
            for number, (meter, _) in enumerate(self.meters)
            for handle in meter.attach(partial(self._timed_hook, number))
        ]
        if self.depth < self.anatomy.layers:  # after the meters' own hooks on that block
            self.handles.append(self._hook(self.anatomy.point("residual", self.depth), _stop))
        return self

    def _timed_hook(self, meter: int, point: HookPoint, take: Take) -> Any:
        def timed(h_btd: torch.Tensor) -> None:
            with self.times.of(meter):
                take(h_btd)

        return self._hook(point, self.check_padding.wrap(timed))

    def _hook(self, point: HookPoint, take: Take) -> Any:
        return hook(point, self.packing.wrap(self.continuation.wrap(take)))

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def begin(self, table: TokenTable, rows: Rows) -> list[HostTransfer]:
        """Values of these rows, in one or more parts: out of memory halves the batch and logs a warning."""
        width = batch_width(table, rows)
        return self.fit.read(lambda part: HostTransfer(self._read(table, part)), rows, width=width)

    def meter_seconds(self) -> list[dict[str, Any]]:
        """For each meter its `signals` and the `seconds` that it took for itself so far; empty for a single meter."""
        if len(self.meters) < 2:
            return []
        taken = zip(self.meters, self.times.seconds(), strict=True)
        return [{"signals": numbers, "seconds": round(seconds, 4)} for (_, numbers), seconds in taken]

    def read(self, table: TokenTable, rows: Rows) -> list[Values]:
        """One array per signal for these rows."""
        return joined(self.begin(table, rows))

    def _read(self, table: TokenTable, rows: Rows) -> list[torch.Tensor]:
        import torch

        batch = collate(table, rows, fill_id=self.fill_id, device=self.device, side=self.padding)
        for meter, _ in self.meters:
            meter.start(batch)
        values: dict[int, torch.Tensor] = {}
        with torch.inference_mode():
            self.check_padding(batch, self._whole)
            h_btd = self._forward(batch, self.prefixes.of(rows))
            for place, (meter, numbers) in enumerate(self.meters):
                with self.times.of(place):
                    found = meter.finish(h_btd)
                values |= dict(zip(numbers, found, strict=True))
        return [values[number] for number in range(self.count)]

    def _forward(self, batch: Batch, prefix: Ints | None) -> torch.Tensor:
        """Output [B, T, D] of the decoder, or of the block at which it stops."""
        try:
            output = self.continuation.read(batch.input_ids, prefix)
            if output is None:
                output = self.packing.read(batch)
            if output is None:
                output = self._whole(batch.input_ids, **decoder_options(self.anatomy, batch))
        except _StopForward as reached:
            return reached.h_btd
        return output

    def _whole(self, ids_bt: torch.Tensor, **options: Any) -> torch.Tensor:
        """Output [B, T, D] for these ids without a cached prefix or packing, as in `_forward`."""
        self.continuation.current = None
        try:
            decoded = self.anatomy.decoder(input_ids=ids_bt, use_cache=False, **options)
        except _StopForward as reached:
            return reached.h_btd
        states: torch.Tensor = decoded.last_hidden_state
        return states


def _stop(h_btd: torch.Tensor) -> None:
    raise _StopForward(h_btd)


def check_split(signals: Sequence[Signal]) -> None:
    """Check what a tensor-parallel model is to measure.

    Raises: ModelError for gradients, and for site mlp, whose activations are sharded.
    """
    if any(isinstance(signal, GradientSignal) for signal in signals):
        raise ModelError(
            "a tensor-parallel model has no per-example gradients",
            where="model.tensor_parallel=true",
            fix="Use model.device_map=auto in one process.",
        )
    if any(isinstance(signal, ReadingSignal) and signal.reading.site == "mlp" for signal in signals):
        raise ModelError(
            "a tensor-parallel model shards the MLP neurons among processes",
            where="model.tensor_parallel=true",
            fix="Use selector.site=residual, mlp_out or attn_out, or model.device_map=auto in one process.",
        )


def _depth(signals: Sequence[Signal], anatomy: Anatomy) -> int:
    """The deepest layer that a signal needs."""
    depths = [signal.reading.depth if isinstance(signal, ReadingSignal) else None for signal in signals]
    return max(anatomy.layers if depth is None else depth for depth in depths)


def _meters(
    signals: Sequence[Signal], network: Any, anatomy: Anatomy, device: str
) -> Iterator[tuple[Meter, list[int]]]:
    """One meter per reading and one for the decoder's output, each with the indices of its signals."""
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
