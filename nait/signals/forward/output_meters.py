"""Output meters: losses, embeddings and choice probabilities from the decoder's output.

Shapes: B rows, T tokens, D width, P positions, C choices, V vocabulary. Logits are computed for a slice of positions
at a time, never for B x T at once. Losses are float64 sums of float32 terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.models.lm_head import LmHead
from nait.models.tokens.batches import Batch
from nait.signals.forward.activation_meters import Hook
from nait.signals.specs.activations import Choice, Embedding, Losses, OutputSignal, Scope

if TYPE_CHECKING:
    import torch

HEAD_POSITIONS = {"cpu": 256}
MOST_HEAD_POSITIONS = 1024
"""Positions whose logits are in memory at once: 131 MB in float32 for 32,000 tokens; on a CPU, about its cache."""

Floats64 = npt.NDArray[np.float64]


class OutputMeter:
    """All signals of the decoder's output. The LM head runs once per predicted token, however many signals use it."""

    def __init__(self, signals: Sequence[OutputSignal], head: LmHead | None) -> None:
        self.signals = list(signals)
        self.head = head
        self.batch: Batch | None = None
        scopes: set[Scope] = {signal.scope for signal in self.signals if isinstance(signal, Losses)}
        self.widest: Scope | None = "whole" if "whole" in scopes else "answer" if scopes else None

    def attach(self, hook: Hook) -> list[Any]:  # noqa: ARG002
        """No hooks: this meter uses only the decoder's output."""
        return []

    def start(self, batch: Batch) -> None:
        """Start this batch."""
        self.batch = batch

    def finish(self, h_btd: torch.Tensor) -> list[torch.Tensor]:
        """Values of the batch, one tensor per signal: [B, 2], [B, D] or [B, C]."""
        assert self.batch is not None
        batch = self.batch.on(h_btd.device)  # the last block may run on another device than the first
        nll_bt = self._token_losses(h_btd, batch)
        return [self._value(signal, h_btd, batch, nll_bt) for signal in self.signals]

    def _token_losses(self, h_btd: torch.Tensor, batch: Batch) -> Floats64 | None:
        if self.widest is None:
            return None
        assert self.head is not None
        return token_losses(self.head, h_btd, batch.input_ids, predicted(batch, self.widest))

    def _value(
        self, signal: OutputSignal, h_btd: torch.Tensor, batch: Batch, nll_bt: Floats64 | None
    ) -> torch.Tensor:
        import torch

        if isinstance(signal, Embedding):
            return embed(h_btd, batch, signal)
        if isinstance(signal, Choice):
            assert self.head is not None
            return choose(self.head, h_btd, batch, signal.ids)
        assert nll_bt is not None
        mask = predicted(batch, signal.scope).cpu().numpy()
        sums = [np.where(mask, nll_bt, 0.0).sum(axis=1), mask.sum(axis=1)]
        return torch.from_numpy(np.stack(sums, axis=1))


def predicted(batch: Batch, scope: Scope) -> torch.Tensor:
    """Mask [B, T] of predicted tokens: real tokens of the scope that have a token before them."""
    import torch

    columns = torch.arange(batch.input_ids.shape[1], device=batch.input_ids.device)
    mask = batch.real & (columns[None, :] > batch.first[:, None])
    return mask & batch.answer if scope == "answer" else mask


def token_losses(
    head: LmHead, h_btd: torch.Tensor, ids_bt: torch.Tensor, predicted_bt: torch.Tensor
) -> Floats64:
    """Negative log-likelihood [B, T] (nats) of the predicted tokens, each from the preceding state; 0 elsewhere."""
    import torch

    rows, columns = predicted_bt.nonzero(as_tuple=True)
    pieces = []
    for part in runs(len(rows), h_btd):
        logits = head(h_btd[rows[part], columns[part] - 1])
        targets = ids_bt[rows[part], columns[part]].to(logits.device)
        chosen = logits.gather(1, targets[:, None])[:, 0]
        pieces.append(_log_sum_exp(logits) - chosen)
    nll_bt = np.zeros(predicted_bt.shape)
    if pieces:
        nll_bt[predicted_bt.cpu().numpy()] = torch.cat(pieces).double().cpu().numpy()
    return nll_bt


def runs(count: int, h_btd: torch.Tensor) -> Iterator[slice]:
    """Slices of `count` positions, each small enough for the head's logits."""
    step = HEAD_POSITIONS.get(h_btd.device.type, MOST_HEAD_POSITIONS)
    for at in range(0, count, step):
        yield slice(at, at + step)


def _log_sum_exp(logits_pv: torch.Tensor) -> torch.Tensor:
    """Log-sum-exp [P]. Overwrites `logits_pv`: a copy costs more than the arithmetic."""
    top = logits_pv.amax(dim=1, keepdim=True)
    return logits_pv.sub_(top).exp_().sum(dim=1).log() + top[:, 0]


def choose(head: LmHead, h_btd: torch.Tensor, batch: Batch, ids: Sequence[int]) -> torch.Tensor:
    """Probability [B, C] of each of `ids` after the last token."""
    import torch

    rows = torch.arange(h_btd.shape[0], device=h_btd.device)
    last_bd = h_btd[rows, batch.last]
    pieces = []
    for part in runs(len(rows), h_btd):
        logits = head(last_bd[part])
        chosen = logits[:, list(ids)]
        pieces.append((chosen - _log_sum_exp(logits)[:, None]).exp())
    return torch.cat(pieces)


def embed(h_btd: torch.Tensor, batch: Batch, signal: Embedding) -> torch.Tensor:
    """Pooled decoder output [B, D] in float32; see `Embedding` for the formulas."""
    import torch

    whole = signal.part == "whole"
    if signal.pooling == "last":
        rows = torch.arange(h_btd.shape[0], device=h_btd.device)
        return h_btd[rows, batch.last if whole else batch.prompt_end].float()
    mask = batch.real
    if not whole:
        columns = torch.arange(h_btd.shape[1], device=h_btd.device)
        mask = mask & (columns[None, :] <= batch.prompt_end[:, None])
    w_bt = mask.float()
    if signal.pooling == "weighted_mean":
        w_bt = w_bt * w_bt.cumsum(dim=1)
    w_bt = w_bt / w_bt.sum(dim=1, keepdim=True)
    return torch.bmm(w_bt.unsqueeze(1), h_btd.float()).squeeze(1)
