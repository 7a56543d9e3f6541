"""Packing: the rows of a batch as one sequence without padding, each with positions of its own.

Attention of the flash kind reads borders from the positions and wastes nothing on pads. Others build a mask of all
tokens by all tokens for it, which costs more than the padding it saves. The hooks of a pass see padded rows none the
less. Shapes: B rows of a batch, T tokens of the longest, S real tokens in all, D width.
"""

from __future__ import annotations

import inspect
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch
from nait.signals.forward.prefix_cache import Take, alike
from nait.signals.runtime.out_of_memory import decoder_options

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

When = Literal["auto", "always", "never"]
WHEN = ("auto", "always", "never")
TRIAL_ROWS = 2


class Packing:
    """Reads batches packed: `auto` where the model's attention is of the flash kind, `always`, or `never`.

    Two rows of the first batch are read both ways. A model that gives other values for packed rows gets padded ones,
    and the log says so.
    """

    def __init__(self, anatomy: Anatomy, when: When = "auto") -> None:
        self.anatomy = anatomy
        self.on = when == "always" or (when == "auto" and _is_flash(anatomy.decoder))
        self.tried = False
        self.trying = False
        self.layout: _Layout | None = None
        if self.on and "position_ids" not in inspect.signature(anatomy.decoder.forward).parameters:
            self._refuse()

    def taking(self, take: Take) -> Take:
        """A hook's function that gives `take` the activations of padded rows."""

        def padded(activation: torch.Tensor) -> None:
            if not self.trying:
                take(activation if self.layout is None else self.layout.pad(activation))

        return padded

    def read(self, batch: Batch) -> torch.Tensor | None:
        """The decoder's output [B, T, D], 0 at pads; None where rows have to be read padded."""
        if not self.on or len(batch.rows) < 2:
            return None
        if not self.tried:
            self._try(batch.head(TRIAL_ROWS))
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

    def _try(self, batch: Batch) -> None:
        """Goes on packed only if these rows give the same both ways."""
        self.tried = self.trying = True
        try:
            options = decoder_options(self.anatomy, batch)
            apart = self.anatomy.decoder(input_ids=batch.input_ids, use_cache=False, **options)
            packed = self._read(batch)
        finally:
            self.trying = False
        if not alike(apart.last_hidden_state[batch.real], packed[batch.real]):
            self._refuse()

    def _refuse(self) -> None:
        self.on = False
        log.warning("This model does not read packed rows as it reads them apart; batches are padded.")


@dataclass(frozen=True)
class _Layout:
    """Where the tokens of a packed batch are in its padded rows: found once, since a GPU has to be waited for."""

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
        """[B, T, D] padded rows of packed activations ([1, S, D], or [S, D] as experts have them); 0 at pads."""
        depth = packed.shape[-1]
        rows = packed.new_zeros((self.rows * self.width, depth))
        rows.index_copy_(0, self.places_s, packed.reshape(-1, depth))
        return rows.view(self.rows, self.width, depth)


def _is_flash(decoder: Any) -> bool:
    return "flash" in str(getattr(decoder.config, "_attn_implementation", ""))
