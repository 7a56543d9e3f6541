"""Heap: what a pass has freed goes back to the system, so that memory does not grow with the number of batches.

Batches of ever other shapes leave holes between what stays, and glibc keeps those. To give them back costs 3 to 10
milliseconds, and the next batch asks for pages again: twice a second that is little.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache

SECONDS = 0.5
"""Between two times that memory is given back."""


class Heap:
    """The process's heap over a pass; of an allocator other than glibc's nothing is asked."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def give_back(self) -> bool:
        """Gives free pages back if the last time is long enough ago; whether it did."""
        trim = _trim()
        if trim is None or time.monotonic() - self.last < self.seconds:
            return False
        trim(0)
        self.last = time.monotonic()
        return True


@cache
def _trim() -> Callable[[int], int] | None:
    """malloc_trim of the running C library; None where it has none."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
