"""Costs: device-hours and money from seconds, and the cost of a job from an empty store."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from nait.core.inputs.checks import check_number, check_whole

PAID = ("select", "train", "evaluate")
"""The phases included in a run's device time and money."""


@dataclass(frozen=True)
class Cost:
    """The price of a job: its number of devices, and the price of one per hour (None: unknown).

    `devices`: None counts one device for each process of a command.
    """

    devices: int | None = None
    price_per_device_hour: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        if self.devices is not None:
            check_whole("cost.devices", self.devices, least=1)
        if self.price_per_device_hour is not None:
            check_number("cost.price_per_device_hour", self.price_per_device_hour, "[0, inf)")

    def device_hours(self, seconds: float, process_seconds: float | None = None) -> float:
        """Device-hours of `seconds`. `process_seconds`: summed over the processes; None: there was one."""
        if self.devices is not None:
            return seconds * self.devices / 3600
        return (seconds if process_seconds is None else process_seconds) / 3600

    def money(self, seconds: float, process_seconds: float | None = None) -> float | None:
        """The price in `currency`; None when it is unknown."""
        if self.price_per_device_hour is None:
            return None
        return self.device_hours(seconds, process_seconds) * self.price_per_device_hour


def cost_from_empty_store(spent: float, parts: Collection[tuple[float, float]]) -> float:
    """The cost of a job from an empty store and without interruptions, in seconds or watt-hours.

    `spent`: what this job spent. `parts`: for each artifact used, its full cost and the part of it that `spent`
    includes. The part is the full cost of an artifact that this job made, 0 for one that was in the store, and the
    cost of the last attempt for one whose killed attempt this job resumed.
    """
    now = sum(amount for _, amount in parts)
    return max(0.0, spent - now) + sum(amount for amount, _ in parts)


def used_share(seconds: float, meters: Collection[Mapping[str, Any]], used: Collection[int] | None) -> float:
    """The share of a pass that a method would need alone; 1 where nothing is known of the pass.

    `seconds`: the cost of the pass. `meters`: for each meter, its `signals` and the `seconds` of its own work.
    `used`: numbers of the method's signals, None for all. Each method needs the whole forward pass.
    """
    if used is None or seconds <= 0:
        return 1.0
    unused = sum(float(one["seconds"]) for one in meters if not set(one["signals"]) & set(used))
    return max(0.0, 1.0 - unused / seconds)
