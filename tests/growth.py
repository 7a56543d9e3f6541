"""How processor time grows with the size of an input: a ratio, so that a busy machine does not change a verdict."""

from __future__ import annotations

import time
from collections.abc import Callable

ATTEMPTS = 4


def grows_linearly(work: Callable[[int], object], size: int) -> bool:
    """Whether `work` of four times the size takes less than eight times the processor seconds.

    Linear work takes 4 times, quadratic work 16 times. Quadratic work fails all of `ATTEMPTS`; an attempt of linear
    work that something else disturbs is repeated.
    """
    return any(_seconds(work, 4 * size) < 8 * _seconds(work, size) for _ in range(ATTEMPTS))


def _seconds(work: Callable[[int], object], size: int) -> float:
    started = time.process_time()
    work(size)
    return time.process_time() - started
