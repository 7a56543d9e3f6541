"""Meter times: how much of a pass each meter takes for itself, beside the forward pass that all of them share.

Methods that share a pass need it to be told what the pass would cost each of them alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

MOST_PENDING = 4096
"""Pairs of events that are kept before their times are read, which waits for the device."""


class MeterTimes:
    """Seconds that each of `count` meters took. On a CUDA device they are read from events, so that no call waits."""

    def __init__(self, count: int, device: str) -> None:
        self.cuda = device.startswith("cuda")
        self._seconds = [0.0] * count
        self._pending: list[tuple[int, Any, Any]] = []

    @contextmanager
    def of(self, meter: int) -> Iterator[None]:
        """Context that counts its time for a meter."""
        if not self.cuda:
            started = time.perf_counter()
            try:
                yield
            finally:
                self._seconds[meter] += time.perf_counter() - started
            return
        import torch

        begun, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begun.record()
        try:
            yield
        finally:
            ended.record()
            self._pending.append((meter, begun, ended))
            if len(self._pending) >= MOST_PENDING:
                self._read()

    def seconds(self) -> list[float]:
        """Seconds of each meter so far."""
        self._read()
        return list(self._seconds)

    def _read(self) -> None:
        for meter, begun, ended in self._pending:
            ended.synchronize()
            self._seconds[meter] += begun.elapsed_time(ended) / 1000
        self._pending.clear()
