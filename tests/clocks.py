"""A clock that a test puts forward, so that no assertion depends on how fast the machine is."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest


def later_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """A function that puts the clock of attempts forward by some seconds."""
    passed = [0.0]

    def later(seconds: float) -> None:
        passed[0] += seconds

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0])
    monkeypatch.setattr("nait.store.attempts.time", clock)
    return later
