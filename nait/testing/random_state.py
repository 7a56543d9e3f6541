"""A context with other states of the global random number generators."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

SEED = 20_260_101


@contextmanager
def other_random_numbers() -> Iterator[None]:
    """Reseed Python's, numpy's and (if imported) torch's global generators; restore their states on exit."""
    torch: Any = sys.modules.get("torch")
    before, numpy_before = random.getstate(), np.random.get_state()
    torch_before = torch.get_rng_state() if torch else None
    random.seed(SEED)
    np.random.seed(SEED)
    if torch:
        torch.manual_seed(SEED)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)
        if torch:
            torch.set_rng_state(torch_before)
