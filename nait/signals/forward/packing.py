"""Packing: the rows of a batch concatenated into one sequence without padding.

Flash attention takes row boundaries from the position ids and spends no work on pads. Other kinds build a mask of all
tokens by all tokens, which costs more than padding. The hooks of a pass still see padded rows.

Shapes: B rows of a batch, T tokens of the longest, S real tokens in total, D hidden size.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch
from nait.signals.forward.prefix_cache import Take, nearly_equal
from nait.signals.runtime.out_of_memory import decoder_options

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

When = Literal["auto", "always", "never"]
WHEN = ("auto", "always", "never")
TRIAL_ROWS = 2


class Packing:
    """Runs the decoder on packed batches: `auto` with flash attention, `always`, or `never`.

    Two rows of the first batch are run both ways. If packing changes the values, batches are padded and a warning is
    logged.
    """

    def __init__(self, anatomy: Anatomy, when: When = "auto") -> None:
        self.anatomy = anatomy
        self.on = when == "always" or (when == "auto" and _is_flash(anatomy.decoder))
        self.tried = False
        self.in_trial = False
        self.layout: _Layout | None = None
        if self.on and "position_ids" not in inspect.signature(anatomy.decoder.forward).parameters:
            self._disable()

    def wrap(self, take: Take) -> Take:
        """A hook function that passes activations to `take` as padded rows."""

        def padded(activation: torch.Tensor) -> None:
            if not self.in_trial:
                take(activation if self.layout is None else self.layout.pad(activation))

        return padded

    def read(self, batch: Batch) -> torch.Tensor | None:
        """Decoder output [B, T, D], 0 at pads; None if the batch has to be padded."""
        if not self.on or len(batch.rows) < 2:
            return None
        if not self.tried:
            self._trial(batch.part(slice(TRIAL_ROWS)))
        return self._read(batch) if self.on else None

    def _read(self, batch: Batch) -> torch.Tensor:
        self.layout = layout = _Layout.of(batch)
        try:
            output = self.anatomy.decoder(
                input_ids=layout.ids_1s, position_ids=layout.positions_1s, use_cache=False
            )
            return layout.pad(output.last_hidden_state)
        finally:
            self.layout = None

    def _trial(self, batch: Batch) -> None:
        """Disable packing if it changes the values of these rows."""
        self.tried = self.in_trial = True
        try:
            options = decoder_options(self.anatomy, batch)
            apart = self.anatomy.decoder(input_ids=batch.input_ids, use_cache=False, **options)
            packed = self._read(batch)
        finally:
            self.in_trial = False
        if not nearly_equal(apart.last_hidden_state[batch.real], packed[batch.real]):
            self._disable()

    def _disable(self) -> None:
        self.on = False
        log.warning(
            "This model computes other values for packed rows. Batches are padded; set engine.packing=never."
        )


@dataclass(frozen=True)
class _Layout:
    """Places of a packed batch's tokens in its padded rows; computed once, as it synchronizes with the GPU."""

    ids_1s: torch.Tensor
    positions_1s: torch.Tensor
    places_s: torch.Tensor
    rows: int
    width: int

    @classmethod
    def of(cls, batch: Batch) -> _Layout:
        places_s = batch.real.flatten().nonzero()[:, 0]
        positions_bt = batch.real.long().cumsum(dim=1) - 1
        ids, positions = (x.flatten()[places_s][None] for x in (batch.input_ids, positions_bt))
        return cls(ids, positions, places_s, *batch.real.shape)

    def pad(self, packed: torch.Tensor) -> torch.Tensor:
        """Padded rows [B, T, D] of packed activations ([1, S, D], or [S, D] inside experts); 0 at pads."""
        depth = packed.shape[-1]
        rows = packed.new_zeros((self.rows * self.width, depth))
        rows.index_copy_(0, self.places_s, packed.reshape(-1, depth))
        return rows.view(self.rows, self.width, depth)


def _is_flash(decoder: Any) -> bool:
    return "flash" in str(getattr(decoder.config, "_attn_implementation", ""))
