"""Engine options: batch size, padding, prefix caching, packing and save intervals of a pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable
from nait.core.inputs.checks import check_choice, check_number, check_whole
from nait.models.devices.leases import AUTO, Devices, check_devices
from nait.models.tokens.batches import Side
from nait.signals.forward.packing import WHEN, When
from nait.signals.forward.prefix_cache import NONE, Prefixes, find_prefixes, worthwhile


@dataclass(frozen=True)
class Engine:
    """Options of a pass. None of them changes a result beyond float rounding.

    - `share_prefixes`: cache the prefixes that many rows share. Requires padding on the right.
    - `packing`: concatenate the rows of a batch that has no cached prefix into one sequence without padding: `auto`
      (with flash attention), `always` or `never`.
    - `chunk_tokens`: tokens of a chunk, which is written when it is complete.
    - `devices`: the GPUs of which a job leases one, so that jobs side by side use different ones; None: no lease.
    - `save_seconds`: interval at which an incomplete chunk is saved: the most work that a kill can lose. 0 saves
      after each batch.
    """

    batch_tokens: int = 8192
    chunk_tokens: int = 1_000_000
    save_seconds: float = 20.0
    padding: Side = "right"
    share_prefixes: bool = True
    packing: When = "auto"
    devices: Devices = AUTO
    progress: bool = True

    def __post_init__(self) -> None:
        check_choice("engine.packing", self.packing, WHEN)
        check_whole("engine.batch_tokens", self.batch_tokens, least=1)
        check_whole("engine.chunk_tokens", self.chunk_tokens, least=1)
        check_number("engine.save_seconds", self.save_seconds, "[0, inf)")
        check_devices(self.devices)

    def prefixes(self, table: TokenTable) -> Prefixes:
        """Prefixes that a forward pass over the table caches; none if caching saves too little."""
        return self.worth_caching(find_prefixes(table), table.lengths)

    def worth_caching(self, prefixes: Prefixes, lengths: npt.NDArray[np.int64]) -> Prefixes:
        """`prefixes` if caching them saves enough in a pass over rows of these lengths [N]; else none."""
        if not self.share_prefixes or self.padding != "right":
            return NONE
        return worthwhile(prefixes, lengths, self.batch_tokens)
