"""Phases of a run: the time and energy of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True)
class PhaseRecord:
    """Cost of one phase.

    `seconds` and `energy_wh` are the cost of producing the phase's result, even when the store had it. `elapsed` is
    the time that this run spent. `fresh`: whether this run produced the result; None for a phase without an artifact.
    `energy_wh` is None where nothing measures energy. `process_seconds`: `seconds` summed over the processes that
    worked on the result; None where there was one.
    """

    seconds: float
    elapsed: float
    energy_wh: float | None
    fresh: bool | None = None
    process_seconds: float | None = None

    def with_cost(
        self, seconds: float, energy_wh: float | None, *, fresh: bool, process_seconds: float | None = None
    ) -> Self:
        """A copy with the recorded cost of the phase's result."""
        return replace(
            self, seconds=seconds, energy_wh=energy_wh, fresh=fresh, process_seconds=process_seconds
        )


Phases = Mapping[str, PhaseRecord]
"""Name -> phase, in the order in which they ran."""


def phase_seconds(phases: Phases) -> dict[str, float]:
    """Name -> seconds, rounded to milliseconds."""
    return rounded({name: one.seconds for name, one in phases.items()})


def phase_energy(phases: Phases) -> dict[str, float | None]:
    """Name -> watt-hours; None where nothing measured them."""
    return {name: one.energy_wh for name, one in phases.items()}


def without_scores(phases: Phases) -> Phases:
    """The phases of a run that does not pay for its selection's scores."""
    return {
        name: replace(one, seconds=0.0, energy_wh=one.energy_wh and 0.0, process_seconds=None)
        if name == "select"
        else one
        for name, one in phases.items()
    }


def rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    """Seconds by name, rounded to milliseconds."""
    return {name: round(value, 3) for name, value in seconds.items()}
