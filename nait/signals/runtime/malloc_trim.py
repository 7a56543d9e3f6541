"""Heap trimming: return freed memory to the system with glibc's `malloc_trim`.

Varying batch shapes fragment the glibc heap, so memory would grow with the number of batches. A trim takes 3 to 10
milliseconds, plus page faults in the next batch: little at twice a second.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import cache

SECONDS = 0.5
"""Minimum time between two trims."""


class Heap:
    """The heap of the process. Does nothing with an allocator other than glibc's."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self.last = time.monotonic()

    def trim(self) -> bool:
        """Return free pages to the system if the last trim is `seconds` ago. Returns whether it did."""
        trim = _trim()
        if trim is None or time.monotonic() - self.last < self.seconds:
            return False
        trim(0)
        self.last = time.monotonic()
        return True


@cache
def _trim() -> Callable[[int], int] | None:
    """`malloc_trim` of the C library; None if it has none."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
