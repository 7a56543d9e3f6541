"""Used: the artifacts that a score was made of, and what they took."""

from __future__ import annotations

from collections.abc import Iterator

from nait.core.estimates.costs import from_nothing
from nait.store import Artifact


class Used:
    """Artifacts by their address; one of this run stays marked as fresh."""

    def __init__(self) -> None:
        self._artifacts: dict[str, Artifact] = {}

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self._artifacts.values())

    def add(self, artifact: Artifact) -> Artifact:
        """The artifact as it was first noted."""
        return self._artifacts.setdefault(artifact.address, artifact)

    def since(self, earlier: set[str]) -> list[Artifact]:
        """Those that were noted after these addresses were all."""
        return [artifact for artifact in self if artifact.address not in earlier]

    @property
    def addresses(self) -> set[str]:
        """The addresses of all."""
        return set(self._artifacts)

    def seconds(self, elapsed: float) -> float:
        """What `elapsed` seconds in which these were used would have been from an empty store."""
        return from_nothing(elapsed, [(artifact.seconds, artifact.seconds_now) for artifact in self])

    def energy_wh(self, spent: float | None) -> float | None:
        """The same of watt-hours; None where those of any part are unknown."""
        parts = [(artifact.energy_wh, artifact.energy_wh_now) for artifact in self]
        known = [(energy, now) for energy, now in parts if energy is not None]
        return None if spent is None or len(known) < len(parts) else from_nothing(spent, known)
