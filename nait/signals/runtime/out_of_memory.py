"""Decoder arguments of a batch, and its retry in smaller parts when memory runs out."""

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
    """Decoder arguments in addition to the ids: none with padding on the right, else mask and positions."""
    if batch.attention_mask is None:
        return {}
    options: dict[str, Any] = {"attention_mask": batch.attention_mask}
    if "position_ids" in inspect.signature(anatomy.decoder.forward).parameters:
        options["position_ids"] = batch.position_ids
    return options


class MemoryFit:
    """Reads batches in parts that fit into memory. Out of memory halves the parts, also for later batches.

    `retry=False` disables the retry: tensor-parallel processes that share the batch would not retry with this one.
    """

    def __init__(self, *, retry: bool = True) -> None:
        self.retry = retry
        self.most_tokens: int | None = None

    def read(self, read: Callable[[Rows], Part], rows: Rows, *, width: int) -> list[Part]:
        """Results of `read` over the rows, each `width` tokens wide: all rows at once, or part by part.

        Raises: torch.OutOfMemoryError if a single row does not fit, or retries are disabled.
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
                if size == 1 or not self.retry:
                    raise
            # The exception is cleared here, and with it its references to the failed batch's tensors.
            self.most_tokens = size * width // 2
            log.warning(
                "Out of memory at %d tokens per batch. Retrying with half, %d. Lower engine.batch_tokens.",
                size * width, self.most_tokens,
            )  # fmt: skip
            torch.cuda.empty_cache()
        return parts

    def _rows(self, count: int, width: int) -> int:
        return count if self.most_tokens is None else min(count, max(1, self.most_tokens // width))
