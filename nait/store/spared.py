"""Work that an artifact needs and that this process had done already, such as opening the model.

It counts in the artifact's cost, which is that of an empty store, and not in the time of this run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any


@dataclass
class Spared:
    """Seconds and watt-hours of spared work; the energy is None once any part of it is unknown."""

    seconds: float = 0.0
    energy_wh: float | None = 0.0


_current: ContextVar[Spared | None] = ContextVar("spared", default=None)


@contextmanager
def spared_work() -> Iterator[Spared]:
    """Count the work that is spared within the block. In nested blocks only the innermost one counts it."""
    counted = Spared()
    token = _current.set(counted)
    try:
        yield counted
    finally:
        _current.reset(token)


def spare(seconds: float, energy_wh: float | None) -> None:
    """Add spared work to the block that is being counted, if there is one."""
    counted = _current.get()
    if counted is not None:
        counted.seconds += seconds
        known = counted.energy_wh is not None and energy_wh is not None
        counted.energy_wh = counted.energy_wh + energy_wh if known else None  # type: ignore[operator]


def with_spared(facts: Mapping[str, Any], spared: Spared) -> Mapping[str, Any]:
    """An artifact's facts, with spared work as part of the cost of earlier attempts."""
    if not spared.seconds:
        return facts
    known = facts.get("earlier_energy_wh", 0.0)
    return {
        **facts,
        "earlier_seconds": float(facts.get("earlier_seconds", 0.0)) + spared.seconds,
        "earlier_energy_wh": None if known is None or spared.energy_wh is None else known + spared.energy_wh,
    }
