"""Activation meters: hooks that reduce the decoder's activations to signal values during a forward pass.

Shapes: B rows, T tokens, D width, L layers, C directions. Values are accumulated in float32, whatever the
model's dtype. No tensor of size B x T outlives a layer's hook.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from nait.core.errors import ModelError
from nait.models.anatomy import SITES, Anatomy, HookPoint
from nait.models.tokens.batches import Batch
from nait.signals.specs.activations import Features, Mean, Norms, Projections, Reading, ReadingSignal

if TYPE_CHECKING:
    import torch


Hook = Callable[[HookPoint, Callable[["torch.Tensor"], None]], Any]
"""Calls a function with each activation at a point. Returns a handle that removes the hook."""


class Meter(Protocol):
    """Measures some signals of a pass, from hooks inside the decoder or from its output."""

    def attach(self, hook: Hook) -> list[Any]:
        """Attach the meter's hooks with `hook`. Returns their handles, to be removed after the pass."""
        ...

    def start(self, batch: Batch) -> None:
        """Start this batch."""
        ...

    def finish(self, h_btd: torch.Tensor) -> list[torch.Tensor]:
        """Values of the batch, one tensor per signal, on any device.

        `h_btd`: the decoder's output after the final norm. A pass that stops early has no output meter; there it is
        the output of the last block that ran.
        """
        ...


def hook(point: HookPoint, take: Callable[[torch.Tensor], None]) -> Any:
    """Call `take` with each activation at `point`. Returns the hook's handle."""
    if point.end == "input":

        def before(_module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            take(args[0] if args else kwargs["hidden_states"])

        return point.module.register_forward_pre_hook(before, with_kwargs=True)

    def after(_module: Any, _args: Any, output: Any) -> None:
        take(output[0] if isinstance(output, tuple) else output)

    return point.module.register_forward_hook(after)


class ReadingMeter:
    """All signals of one reading, which is computed once per layer."""

    def __init__(
        self, reading: Reading, signals: Sequence[ReadingSignal], anatomy: Anatomy, device: str
    ) -> None:
        import torch

        self.reading = reading
        self.signals = list(signals)
        depth = anatomy.layers if reading.depth is None else reading.depth
        self.layers = list(range(reading.first_layer, depth + 1))
        self.points = [anatomy.point(reading.site, layer) for layer in self.layers]
        self.batch: Batch | None = None
        self.kept: dict[int, list[Any]] = {}
        self.projected: list[Any] = []
        self.read: list[int] = []
        projections = [signal for signal in self.signals if isinstance(signal, Projections)]
        self.widths = [signal.directions.shape[0] for signal in projections]
        self.centers = {
            number: torch.from_numpy(np.array(signal.center, dtype=np.float32)).to(device)
            for number, signal in enumerate(self.signals)
            if isinstance(signal, Norms) and signal.center is not None
        }
        self.v_lcd: torch.Tensor | None = None
        if projections:
            stacked = np.concatenate([np.asarray(s.directions[:, : len(self.layers)]) for s in projections])
            self.v_lcd = torch.from_numpy(
                np.ascontiguousarray(stacked.transpose(1, 0, 2), dtype=np.float32)
            ).to(device)

    def attach(self, hook: Hook) -> list[Any]:
        """Attach one hook per layer with `hook`. Returns their handles, to be removed after the pass."""
        return [hook(point, partial(self._read, place)) for place, point in enumerate(self.points)]

    def start(self, batch: Batch) -> None:
        """Start this batch."""
        self.batch = batch
        self.kept = {number: [] for number in range(len(self.signals))}
        self.projected = []
        self.read = []

    def _read(self, place: int, activation: torch.Tensor) -> None:
        batch = self.batch
        assert batch is not None
        rows, width = batch.input_ids.shape
        self.read.append(place)
        by_token = tuple(activation.shape[:2]) == (rows, width) or activation.shape[0] == rows * width
        if not by_token or activation.numel() != rows * width * self.points[place].width:
            shape = tuple(activation.shape)
            raise self._unreadable(
                f"layer {self.layers[place]} has activations of shape {shape} for {rows} rows of {width} tokens"
            )
        f_bd = summarise(activation.reshape(rows, width, -1), batch.on(activation.device), self.reading)
        f_bd = f_bd.to(batch.real.device)  # blocks may run on several devices
        if self.v_lcd is not None:
            self.projected.append(f_bd @ self.v_lcd[place].T)
        for number, signal in enumerate(self.signals):
            if isinstance(signal, Features):
                self.kept[number].append(f_bd)
            elif isinstance(signal, Norms):
                center = self.centers.get(number)
                self.kept[number].append((f_bd if center is None else f_bd - center[place]).norm(dim=1))
            elif isinstance(signal, Mean):
                self.kept[number].append(f_bd.double().sum(dim=0, keepdim=True))

    def finish(self, h_btd: torch.Tensor) -> list[torch.Tensor]:  # noqa: ARG002
        """Values of the batch, one tensor per signal: [B, L, D], [B, C, L], [B, L]; or sums [1, L, D]."""
        import torch

        if self.read != list(range(len(self.points))):
            raise self._unreadable(self._order())
        values: list[torch.Tensor] = []
        p_bcl = torch.stack(self.projected, dim=2) if self.projected else None
        at, widths = 0, iter(self.widths)
        for number, signal in enumerate(self.signals):
            if isinstance(signal, Projections):
                assert p_bcl is not None
                width = next(widths)
                values.append(p_bcl[:, at : at + width])
                at += width
            else:
                values.append(torch.stack(self.kept[number], dim=1))
        return values

    def _order(self) -> str:
        """What is wrong with the layers that were computed: a number of times, or the order."""
        for place, layer in enumerate(self.layers):
            times = self.read.count(place)
            if times != 1:
                return f"layer {layer} is computed {times} times for each text"
        return f"the layers are computed in the order {', '.join(str(self.layers[place]) for place in self.read)}"

    def _unreadable(self, what: str) -> ModelError:
        others = ", ".join(site for site in SITES if site != self.reading.site)
        return ModelError(
            what,
            where=f"selector.site={self.reading.site}",
            fix=f"Use another site, if it can be read: {others}.",
        )


def summarise(h_btd: torch.Tensor, batch: Batch, reading: Reading) -> torch.Tensor:
    """Summary [B, D] (float32) of one layer's activations [B, T, D]; see `Reading` for the formulas."""
    import torch

    rows = torch.arange(h_btd.shape[0], device=h_btd.device)
    start = batch.first if reading.origin == "first" else batch.prompt_end
    if reading.feature in ("delta", "last"):
        summary = h_btd[rows, batch.last].float()
    else:
        summary = _mean(h_btd, batch, reading)
    if reading.feature in ("delta", "mean_delta"):
        summary = summary - h_btd[rows, start].float()
    return summary


def _mean(h_btd: torch.Tensor, batch: Batch, reading: Reading) -> torch.Tensor:
    import torch

    weight = batch.real
    if reading.origin == "prompt_end":
        columns = torch.arange(h_btd.shape[1], device=h_btd.device)
        weight = weight & (columns[None, :] > batch.prompt_end[:, None])
    w_bt = weight.float()
    count = w_bt.sum(dim=1, keepdim=True).clamp(min=1.0)
    return torch.bmm(w_bt.unsqueeze(1), h_btd.float()).squeeze(1) / count
