"""The engine: how a pass runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable
from nait.core.inputs.checks import check_choice, check_number, check_whole
from nait.models.tokens.batches import Side
from nait.signals.forward.packing import WHEN, When
from nait.signals.forward.prefix_cache import NONE, Prefixes, find_prefixes, worthwhile


@dataclass(frozen=True)
class Engine:
    """How a pass runs: nothing here may change a number beyond float rounding.

    `share_prefixes` reads tokens that many rows begin with once, where padding is on the right. `packing` reads what
    rows of a batch do not share as one sequence without padding: `auto` where the model's attention is of the flash
    kind, `always`, or `never`.

    A pass writes `chunk_tokens` tokens at a time, and before that every `save_seconds` what it has of them: so much
    work a kill can cost. 0 writes after each batch.
    """

    batch_tokens: int = 8192
    chunk_tokens: int = 1_000_000
    save_seconds: float = 20.0
    padding: Side = "right"
    share_prefixes: bool = True
    packing: When = "auto"
    progress: bool = True

    def __post_init__(self) -> None:
        check_choice("engine.packing", self.packing, WHEN)
        check_whole("engine.batch_tokens", self.batch_tokens, least=1)
        check_whole("engine.chunk_tokens", self.chunk_tokens, least=1)
        check_number("engine.save_seconds", self.save_seconds, "[0, inf)")

    def prefixes(self, table: TokenTable) -> Prefixes:
        """The prefixes that a forward pass over the table reads once, where that pays."""
        return self.paying(find_prefixes(table), table.lengths)

    def paying(self, prefixes: Prefixes, lengths: npt.NDArray[np.int64]) -> Prefixes:
        """These prefixes where a pass over rows of these lengths [N] reads them once; else none."""
        if not self.share_prefixes or self.padding != "right":
            return NONE
        return worthwhile(prefixes, lengths, self.batch_tokens)
