"""Padding check: whether a model's values for a text depend on padding, or on the rows that share its batch.

In a causal decoder no token of a text attends to what follows it, to padding, or to other rows. In some models they
do: their attention looks ahead, or their positions count the padding in front of a text.

The check changes everything but a text in a batch of one shape. A causal decoder then computes the same values with
the same kernels, also in 16 bits; only experts round otherwise, where other tokens are routed to them. A row alone
has another shape and rounds otherwise in any model, so its difference is a warning at most.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nait.core.errors import ConfigError, ModelError, NaitError
from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch, positions_of
from nait.signals.forward.prefix_cache import Take
from nait.signals.runtime.out_of_memory import decoder_options

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

CLEAR = 0.1
"""Relative change that rounding does not explain in 16 bits, where a router may also choose another expert."""

Decode = Callable[..., "torch.Tensor"]
"""`decode(ids, **options)` returns the decoder's states [B, T, D]."""

_PASSED: WeakKeyDictionary[Any, set[tuple[bool, int]]] = WeakKeyDictionary()
"""The checks that a decoder has passed: whether padding was on the left, and the deepest block that ran."""


class PaddingCheck:
    """Checks a decoder with the shortest and the longest row of its first padded batch."""

    def __init__(self, anatomy: Anatomy, depth: int) -> None:
        self.anatomy = anatomy
        self.depth = depth
        self.running = False

    def wrap(self, take: Take) -> Take:
        """A hook function that passes activations to `take`, except those of the check."""

        def unless_running(activation: torch.Tensor) -> None:
            if not self.running:
                take(activation)

        return unless_running

    def __call__(self, batch: Batch, decode: Decode) -> None:
        """Check this batch if it is the first with padding. Logs a warning for a row that differs from the row alone.

        Raises: ConfigError for a model that reads padding on the left; ModelError for one that reads padding on the
        right, later tokens or other rows.
        """
        kind = (batch.attention_mask is not None, self.depth)
        passed = _PASSED.setdefault(self.anatomy.decoder, set())
        if kind in passed or bool(batch.real.all()):
            return
        lengths = batch.real.sum(dim=1)
        longest = int(lengths.max())
        if not longest:
            return
        shortest = int(lengths.masked_fill(lengths == 0, longest).argmin())
        pair = batch.part([shortest, int(lengths.argmax())])
        self.running = True
        try:
            self._check(pair, decode)
        finally:
            self.running = False
        passed.add(kind)

    def _check(self, pair: Batch, decode: Decode) -> None:
        real_t = pair.real[0]
        beside = self._states(pair, decode)[0]
        change = self._change_among_others(pair, beside, decode)
        if change > _limit(beside):
            raise self._error(pair, change)
        alone = decode(pair.input_ids[:1, real_t])[0]
        change = _change(alone, beside[real_t.to(beside.device)])
        if change > _limit(beside):
            log.warning(
                "%s: a row's values change by %.2g %% beside a longer row, by rounding or because its positions "
                "depend on the batch. engine.batch_tokens=1 runs each row alone.",
                self.anatomy.name, 100 * change,
            )  # fmt: skip

    def _change_among_others(self, pair: Batch, beside: torch.Tensor, decode: Decode) -> float:
        """Relative change of the states of a text, the first half of a row's tokens, where all else is changed.

        With padding on the left, the text is moved from the end of its row to the beginning.
        """
        import torch

        width, length = pair.input_ids.shape[1], int(pair.real[0].sum())
        text = (length + 1) // 2
        first = int(pair.real[0].long().argmax())
        others = pair.input_ids.flip(0, 1)
        words = pair.input_ids[0, first : first + text]
        if pair.attention_mask is None:
            others[0, :text] = words
            return _change(beside[:text], decode(others)[0, :text])
        real = torch.zeros_like(pair.real)
        real[1] = True
        found = []
        for start in (width - text, 0):
            ids, mask = others.clone(), real.clone()
            ids[0, start : start + text], mask[0, start : start + text] = words, True
            placed = replace(pair, input_ids=ids, attention_mask=mask.long(), position_ids=positions_of(mask))
            found.append(self._states(placed, decode)[0, start : start + text])
        return _change(*found)

    def _states(self, batch: Batch, decode: Decode) -> torch.Tensor:
        return decode(batch.input_ids, **decoder_options(self.anatomy, batch))

    def _error(self, pair: Batch, change: float) -> NaitError:
        name, values = self.anatomy.name, f"the values of a text change by {change:.1%}"
        if pair.attention_mask is not None:
            return ConfigError(
                f"{name} reads padding on the left: {values} if it is moved within its row",
                where="engine.padding",
                fix="Set engine.padding=right: a text's tokens then come before its padding.",
            )
        return ModelError(
            f"{name} reads padding behind a text, later tokens or other rows: {values} if these are changed",
            where="model.path",
            fix="Use a causal language model.",
        )


def _limit(states: torch.Tensor) -> float:
    """The relative change that is not refused: sqrt(eps) in float32, `CLEAR` in 16 bits."""
    import torch

    eps = torch.finfo(states.dtype).eps
    return CLEAR if eps > 1e-4 else float(eps**0.5)


def _change(a: torch.Tensor, b: torch.Tensor) -> float:
    """Relative distance of states; 0 if one is not finite: overflows are counted where values are used."""
    distance, norm = (a.float() - b.float()).norm(), a.float().norm()
    return float(distance / norm) if bool(distance.isfinite() & (norm > 0)) else 0.0
