"""Gradient reductions: norms, cosines and projections of a batch's gradients, accumulated factor by factor.

Shapes: B rows, P weights of the LoRA, p weights of one factor, R reference rows, S width of a projection. Gradients
arrive in the order of the backward pass and are stored in the order of the factors' names. Sums over factors are
float64.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np
import torch

from nait.core.errors import ModelError
from nait.signals.backward.adam import Stepper
from nait.signals.backward.random_projection import project
from nait.signals.specs.gradients import Arrays, Gradients, GradientSignal, Influences, Projection, Update

Shapes = Mapping[str, tuple[int, ...]]
Spans = Mapping[str, slice]


class Part(Protocol):
    """An accumulator: the values of some signals, summed over the factors of a batch."""

    def start(self, rows: int) -> None: ...

    def take(self, name: str, u_bp: torch.Tensor) -> None: ...

    def finish(self) -> list[torch.Tensor]: ...


class Reducer:
    """All signals' values of a batch. Signals with the same update or projection share its computation."""

    def __init__(self, signals: Sequence[GradientSignal], shapes: Shapes, device: str) -> None:
        self.device = device
        spans = _spans(shapes)
        self.steppers: list[tuple[Stepper, list[Part]]] = []
        self.places: list[int] = []
        for update, numbers in _groups(signals).items():
            parts: list[Part] = []
            for projection in dict.fromkeys(signals[i].projection for i in numbers):
                same = [i for i in numbers if signals[i].projection == projection]
                chosen = [signals[i] for i in same]
                parts.append(
                    Whole(chosen, spans, device)
                    if projection is None
                    else Projected(chosen, spans, device, projection)
                )
                self.places += same
            self.steppers.append((Stepper(update, shapes, device), parts))

    def start(self, rows: int) -> None:
        """Start a batch of this many rows."""
        for part in self._parts():
            part.start(rows)

    def take(self, name: str, g_bp: torch.Tensor) -> None:
        """Add one factor's gradients."""
        g_bp = g_bp.to(self.device)  # a model may be spread over several devices
        for stepper, parts in self.steppers:
            u_bp = stepper(name, g_bp)
            for part in parts:
                part.take(name, u_bp)

    def finish(self) -> list[torch.Tensor]:
        """One tensor per signal, [B, P], [B, S] or [B, R], in the order of the signals."""
        values = [value for part in self._parts() for value in part.finish()]
        return [value for _, value in sorted(zip(self.places, values, strict=True), key=lambda pair: pair[0])]

    def _parts(self) -> Iterator[Part]:
        return (part for _, parts in self.steppers for part in parts)


class Whole:
    """Signals of the unprojected update. Stores the update only for `Gradients`, else its norm and inner products."""

    def __init__(self, signals: Sequence[GradientSignal], spans: Spans, device: str) -> None:
        self.signals = signals
        self.spans = spans
        self.keeps = any(isinstance(signal, Gradients) for signal in signals)
        references = [signal.references for signal in signals if isinstance(signal, Influences)]
        self.counts = [len(each) for each in references]
        width = max(span.stop for span in spans.values())
        _check_width(references, width)
        # One reference matrix per factor, so that each product reads only its own part.
        self.r_pr = {
            name: torch.from_numpy(np.concatenate([each[:, span] for each in references]).T.copy()).to(device)
            for name, span in (spans.items() if references else ())
        }
        self.device = device

    def start(self, rows: int) -> None:
        wide = torch.float64 if not self.device.startswith("mps") else torch.float32  # MPS has no float64
        self.squares_b = torch.zeros(rows, dtype=wide, device=self.device)
        self.inner_br = torch.zeros(rows, sum(self.counts), dtype=wide, device=self.device)
        self.kept: dict[str, torch.Tensor] = {}

    def take(self, name: str, u_bp: torch.Tensor) -> None:
        self.squares_b += torch.linalg.vector_norm(u_bp, dim=1).to(self.squares_b.dtype) ** 2
        if self.r_pr:
            self.inner_br += u_bp @ self.r_pr[name]
        if self.keeps:
            self.kept[name] = u_bp

    def finish(self) -> list[torch.Tensor]:
        norm_b1 = self.squares_b.sqrt()[:, None]
        cosines = iter(torch.split(self.inner_br / norm_b1, self.counts, dim=1))
        whole = None
        if self.keeps and self.kept:
            whole = torch.cat([self.kept.pop(name) for name in self.spans], dim=1).div_(norm_b1.float())
        elif self.keeps:
            whole = norm_b1.new_zeros(len(norm_b1), max(span.stop for span in self.spans.values()))
        found = [next(cosines) if isinstance(signal, Influences) else whole for signal in self.signals]
        return [value.float() for value in found if value is not None]


class Projected:
    """Signals of a random projection of the update."""

    def __init__(
        self, signals: Sequence[GradientSignal], spans: Spans, device: str, projection: Projection
    ) -> None:
        self.signals = signals
        self.spans = spans
        self.device = device
        self.projection = projection
        references = {i: s.references for i, s in enumerate(signals) if isinstance(s, Influences)}
        _check_width([*references.values()], projection.dim)
        self.r_sr = {i: torch.from_numpy(each.T.copy()).float().to(device) for i, each in references.items()}

    def start(self, rows: int) -> None:
        self.sum_bs = torch.zeros(rows, self.projection.dim, device=self.device)

    def take(self, name: str, u_bp: torch.Tensor) -> None:
        self.sum_bs += project(u_bp, self.spans[name].start, self.projection)

    def finish(self) -> list[torch.Tensor]:
        unit_bs = self.sum_bs / torch.linalg.vector_norm(self.sum_bs, dim=1, keepdim=True)
        return [unit_bs @ self.r_sr[i] if i in self.r_sr else unit_bs for i in range(len(self.signals))]


def _spans(shapes: Shapes) -> dict[str, slice]:
    """Span of each factor's weights among all P, in the order of the names."""
    spans, at = {}, 0
    for name in sorted(shapes):
        size = int(np.prod(shapes[name]))
        spans[name] = slice(at, at + size)
        at += size
    return spans


def _groups(signals: Sequence[GradientSignal]) -> dict[Update, list[int]]:
    groups: dict[Update, list[int]] = {}
    for number, signal in enumerate(signals):
        groups.setdefault(signal.update, []).append(number)
    return groups


def _check_width(references: Sequence[Arrays], width: int) -> None:
    for each in references:
        if each.ndim != 2 or each.shape[1] != width:
            raise ModelError(
                f"reference gradients have shape {each.shape}, a row's gradient has {width} numbers",
                where="gradients",
                fix="Measure them with this adapter and this projection.",
            )
