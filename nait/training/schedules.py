"""Learning-rate schedules: transformers' own shapes, with a warm-up whose first update is not at rate 0."""

from __future__ import annotations

import math
from typing import Any

NAMES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}
"""Our word -> transformers'. Its own "constant" ignores the warm-up."""


def warmup_updates(share: float, updates: int) -> int:
    """The updates that the rate rises over: the share of all updates, rounded up; below one update, none."""
    exact = share * updates
    return math.ceil(exact) if exact >= 1 else 0


def scheduler(name: str, optimizer: Any, *, share: float, updates: int) -> Any:
    """The torch scheduler of a training of so many updates. `name`: a key of `NAMES`.

    With w updates of warm-up, update k (from 0) has (k + 1) / (w + 1) of the full rate while k < w, and from then on
    what transformers' schedule has there: the same shape, read one step later with one step more of each kind.
    """
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import get_scheduler

    warmup = warmup_updates(share, updates)
    theirs = get_scheduler(
        NAMES[name], optimizer, num_warmup_steps=warmup + 1, num_training_steps=updates + 1
    )
    rate = theirs.lr_lambdas[0]
    return LambdaLR(optimizer, lambda update: rate(update + 1))
