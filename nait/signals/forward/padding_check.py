"""Padding check: whether a model computes the same values for a row in a padded batch as for the row alone.

In a causal decoder no token of a text attends to padding behind it, or to other rows. In some models they do: their
attention looks ahead, or their positions count the padding in front of a text. Their values would depend on the rows
that happen to share a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nait.core.errors import ConfigError, ModelError, NaitError
from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch
from nait.signals.forward.prefix_cache import Take, nearly_equal
from nait.signals.runtime.out_of_memory import decoder_options

if TYPE_CHECKING:
    import torch

_PASSED: WeakKeyDictionary[Any, set[tuple[bool, int]]] = WeakKeyDictionary()
"""The checks that a decoder has passed: whether padding was on the left, and the deepest block that ran."""


class PaddingCheck:
    """Compares the shortest row of a decoder's first padded batch, beside the longest, with the same row alone."""

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

    def __call__(self, batch: Batch, decode: Callable[..., torch.Tensor]) -> None:
        """Check this batch if it is the first with padding. `decode(ids, **options)` returns the states [B, T, D].

        Raises: ConfigError for a model that reads padding on the left; ModelError for one that reads padding on the
        right, or other rows.
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
        real_t = pair.real[0]
        self.running = True
        try:
            beside = decode(pair.input_ids, **decoder_options(self.anatomy, pair))[0]
            alone = decode(pair.input_ids[:1, real_t])[0]
        finally:
            self.running = False
        beside = beside[real_t.to(beside.device)]
        # Overflows of the row alone are counted where its values are used.
        if bool(alone.isfinite().all()) and not nearly_equal(alone, beside):
            raise self._error(batch, alone, beside)
        passed.add(kind)

    def _error(self, batch: Batch, alone: torch.Tensor, beside: torch.Tensor) -> NaitError:
        change = float((beside.float() - alone.float()).norm() / alone.float().norm())
        name, values = self.anatomy.name, f"a row's values change by {change:.1%} beside a longer row"
        if batch.attention_mask is not None:
            return ConfigError(
                f"{name} reads padding on the left: {values}",
                where="engine.padding",
                fix="Set engine.padding=right: a text's tokens then come before its padding.",
            )
        return ModelError(
            f"{name} reads padding behind a text, or other rows: {values}",
            where="model.path",
            fix="Use a causal language model; or set model.dtype=float32, if it is a causal one with large "
            "rounding errors.",
        )
