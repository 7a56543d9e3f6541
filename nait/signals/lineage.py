"""Lineage: the artifacts that a result was computed from, and their cost."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from nait.core.estimates.costs import cost_from_empty_store, used_share
from nait.store import Artifact

Part = Sequence[object]
"""Kind and address of an artifact and, of a pass whose signals were not all used, the numbers of the used ones."""


class Lineage:
    """Artifacts by address, in the order of their first use. An artifact that this run made stays marked as fresh.

    Of a pass that other methods share, only what this result would cost alone counts: the forward pass, and the
    meters of the signals that were used.
    """

    def __init__(self) -> None:
        self._artifacts: dict[str, Artifact] = {}
        self._used: dict[str, frozenset[int] | None] = {}
        self._within: list[Lineage] = []
        self.derived: dict[str, str] = {}
        """Address -> kind of what was derived from the artifacts, such as directions. Its cost is theirs."""

    def __iter__(self) -> Iterator[Artifact]:
        return iter(self._artifacts.values())

    def add(self, artifact: Artifact, signals: Collection[int] | None = None) -> Artifact:
        """Record an artifact, and which signals of a pass were used (None: all). Returns it as first recorded."""
        for inner in self._within:
            inner.add(artifact, signals)
        known = self._used.get(artifact.address, frozenset())
        self._used[artifact.address] = (
            None if signals is None or known is None else known | frozenset(signals)
        )
        return self._artifacts.setdefault(artifact.address, artifact)

    @contextmanager
    def within(self) -> Iterator[Lineage]:
        """A lineage of what is used within the context, whether it was used before or not."""
        inner = Lineage()
        self._within.append(inner)
        try:
            yield inner
        finally:
            self._within.remove(inner)

    def made_of(self) -> list[Part]:
        """The artifacts, as an artifact's manifest names them."""
        found: list[Part] = []
        for artifact in self:
            used = self._used[artifact.address]
            place: list[object] = [artifact.kind, artifact.address]
            found.append(place if used is None else [*place, sorted(used)])
        return found

    def _own(self, artifact: Artifact) -> float:
        """The share of an artifact's cost that its use here would have alone."""
        return used_share(artifact.seconds, artifact.manifest.get("meters", ()), self._used[artifact.address])

    def seconds(self, elapsed: float) -> float:
        """Seconds from an empty store: `elapsed`, with the cost of every artifact found in the store."""
        parts = [(artifact.seconds * self._own(artifact), artifact.seconds_now) for artifact in self]
        return cost_from_empty_store(elapsed, parts)

    def process_seconds(self, elapsed: float, processes: int) -> float:
        """`seconds` summed over the processes of each artifact's command; `processes` is the number of this one's."""
        parts = [(one.seconds * self._own(one) * one.processes, one.seconds_now * processes) for one in self]
        return cost_from_empty_store(elapsed * processes, parts)

    def energy_wh(self, spent: float | None) -> float | None:
        """Watt-hours from an empty store; None if `spent` or the energy of any artifact is unknown."""
        parts = [(one.energy_wh, self._own(one), one.energy_wh_now) for one in self]
        known = [(energy * own, now) for energy, own, now in parts if energy is not None]
        return None if spent is None or len(known) < len(parts) else cost_from_empty_store(spent, known)
