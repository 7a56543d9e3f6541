"""Costs: seconds into device-hours and money; and what a work would have taken with nothing there before."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nait.core.inputs.checks import check_number, check_whole


@dataclass(frozen=True)
class Cost:
    """A price list: how many devices a job holds, and what one costs an hour (null: unknown)."""

    devices: int = 1
    price_per_device_hour: float | None = None
    currency: str = "USD"

    def __post_init__(self) -> None:
        check_whole("cost.devices", self.devices, least=1)
        if self.price_per_device_hour is not None:
            check_number("cost.price_per_device_hour", self.price_per_device_hour, "[0, inf)")

    def device_hours(self, seconds: float) -> float:
        return seconds * self.devices / 3600

    def money(self, seconds: float) -> float | None:
        """In `currency`; None where no price is known."""
        if self.price_per_device_hour is None:
            return None
        return self.device_hours(seconds) * self.price_per_device_hour


def from_nothing(spent: float, parts: Collection[tuple[float, float]]) -> float:
    """What `spent` (seconds, watt-hours) would have been from an empty store, without an interruption.

    `parts`: what each artifact that was used took, and how much of that is in `spent`: all of it where it was made
    just now, the last attempt's share where it continued a killed one, 0 where it was there.
    """
    now = sum(amount for _, amount in parts)
    return max(0.0, spent - now) + sum(amount for amount, _ in parts)
