"""Learning-rate schedules of transformers, with a warm-up whose first update has a rate above 0."""

from __future__ import annotations

import math
from typing import Any

NAMES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our name -> transformers' name. Its "constant" ignores the warm-up."""


def warmup_updates(share: float, updates: int) -> int:
    """The number of warm-up updates: the share of all updates, rounded up; 0 when it is below one update."""
    exact = share * updates
    return math.ceil(exact) if exact >= 1 else 0


def scheduler(name: str, optimizer: Any, *, share: float, updates: int) -> Any:
    """The torch scheduler for `updates` updates. `name`: a key of `NAMES`.

    With w warm-up updates, update k (from 0) has (k + 1) / (w + 1) of the full rate while k < w, and then follows
    transformers' schedule: that schedule with w + 1 and `updates` + 1 steps, shifted by one step.
    """
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import get_scheduler

    warmup = warmup_updates(share, updates)
    theirs = get_scheduler(
        NAMES[name], optimizer, num_warmup_steps=warmup + 1, num_training_steps=updates + 1
    )
    rate = theirs.lr_lambdas[0]
    return LambdaLR(optimizer, lambda update: rate(update + 1))
