"""Lineage: the artifacts that a result was computed from, and their cost."""

from __future__ import annotations

from collections.abc import Iterator

from nait.core.estimates.costs import cost_from_empty_store
from nait.store import Artifact


class Lineage:
    """Artifacts by address, in the order of their first use. An artifact that this run made stays marked as fresh."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Artifact] = {}

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self._artifacts.values())

    def add(self, artifact: Artifact) -> Artifact:
        """Record an artifact. Returns it as it was first recorded."""
        return self._artifacts.setdefault(artifact.address, artifact)

    def since(self, earlier: set[str]) -> list[Artifact]:
        """Artifacts recorded since this snapshot of `addresses`."""
        return [artifact for artifact in self if artifact.address not in earlier]

    @property
    def addresses(self) -> set[str]:
        """Snapshot of the addresses recorded so far."""
        return set(self._artifacts)

    def seconds(self, elapsed: float) -> float:
        """Seconds from an empty store: `elapsed`, with the full cost of every artifact found in the store."""
        return cost_from_empty_store(elapsed, [(artifact.seconds, artifact.seconds_now) for artifact in self])

    def energy_wh(self, spent: float | None) -> float | None:
        """Watt-hours from an empty store; None if `spent` or the energy of any artifact is unknown."""
        parts = [(artifact.energy_wh, artifact.energy_wh_now) for artifact in self]
        known = [(energy, now) for energy, now in parts if energy is not None]
        return None if spent is None or len(known) < len(parts) else cost_from_empty_store(spent, known)
