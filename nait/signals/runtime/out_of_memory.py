"""What a forward pass and a backward pass do alike with a batch."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Batch, Rows

log = logging.getLogger(__name__)

Part = TypeVar("Part")


def decoder_options(anatomy: Anatomy, batch: Batch) -> dict[str, Any]:
    """What the decoder must be told beside the ids: nothing with padding on the right, else mask and positions."""
    if batch.attention_mask is None:
        return {}
    options: dict[str, Any] = {"attention_mask": batch.attention_mask}
    if "position_ids" in inspect.signature(anatomy.decoder.forward).parameters:
        options["position_ids"] = batch.position_ids
    return options


class Fitting:
    """Reads batches in parts that fit into memory. Out of memory halves the parts, for all later batches too.

    Not `again`: there is no second try, since processes that share a batch would not know of it.
    """

    def __init__(self, *, again: bool = True) -> None:
        self.again = again
        self.most_tokens: int | None = None

    def read(self, read: Callable[[Rows], Part], rows: Rows, *, width: int) -> list[Part]:
        """What `read` makes of the rows, each `width` tokens wide: of all at once, else part by part.

        Raises: torch.OutOfMemoryError where not even one row fits, or there is no second try.
        """
        import torch

        parts, at = [], 0
        while at < len(rows):
            part = rows[at : at + self._rows(len(rows), width)]
            size = len(part)
            try:
                parts.append(read(part))
                at += size
                continue
            except torch.OutOfMemoryError:
                if size == 1 or not self.again:
                    raise
            # Here the error, which held on to the failed batch's tensors, is gone.
            self.most_tokens = size * width // 2
            log.warning(
                "Out of memory with %d tokens a batch: going on with half of them, %d.",
                size * width, self.most_tokens,
            )  # fmt: skip
            torch.cuda.empty_cache()
        return parts

    def _rows(self, count: int, width: int) -> int:
        return count if self.most_tokens is None else min(count, max(1, self.most_tokens // width))
