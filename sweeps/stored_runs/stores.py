"""Read access to one or several stores, such as those of several machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nait.store import Artifact, Store


class ReadableStore(Protocol):
    """The read-only part of a store."""

    @property
    def root(self) -> Path: ...

    def find(self, kind: str, key: str) -> Artifact | None: ...

    def artifacts(self, kind: str) -> list[Artifact]: ...


class Stores:
    """Several stores as one; an artifact that several hold appears once."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = list(stores)

    @property
    def root(self) -> Path:
        """The first store's folder."""
        return self.stores[0].root

    def find(self, kind: str, key: str) -> Artifact | None:
        """The artifact from the first store that has it, or None."""
        return next((found for store in self.stores if (found := store.find(kind, key))), None)

    def artifacts(self, kind: str) -> list[Artifact]:
        """All artifacts of a kind, oldest first."""
        found = {one.address: one for store in reversed(self.stores) for one in store.artifacts(kind)}
        return sorted(found.values(), key=lambda one: (str(one.manifest.get("created", "")), one.address))
