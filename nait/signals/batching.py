"""What a forward pass and a backward pass do alike with a batch."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

import numpy as np

from nait.models.batches import Batch, Rows
from nait.models.sites import Anatomy

log = logging.getLogger(__name__)


def decoder_options(anatomy: Anatomy, batch: Batch) -> dict[str, Any]:
    """What the decoder must be told beside the ids: nothing with padding on the right, else mask and positions."""
    if batch.attention_mask is None:
        return {}
    options: dict[str, Any] = {"attention_mask": batch.attention_mask}
    if "position_ids" in inspect.signature(anatomy.decoder.forward).parameters:
        options["position_ids"] = batch.position_ids
    return options


def read_in_halves(read: Callable[[Rows], list[Any]], rows: Rows) -> list[Any]:
    """`read(rows)`, one array a signal. Out of memory halves the batch and goes on, saying so."""
    import torch

    try:
        return read(rows)
    except torch.OutOfMemoryError:
        if len(rows) == 1:
            raise
    # Here the error, which held on to the failed batch's tensors, is gone.
    log.warning("Out of memory with %d rows a batch: going on with half of them.", len(rows))
    torch.cuda.empty_cache()
    half = len(rows) // 2
    halves = [read_in_halves(read, rows[:half]), read_in_halves(read, rows[half:])]
    return [np.concatenate(pair) for pair in zip(*halves, strict=True)]
