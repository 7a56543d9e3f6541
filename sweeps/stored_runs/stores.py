"""Read access to one or several stores, such as those of several machines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nait.store import Artifact, Store
from nait.store.last_use import last_use


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
        """All artifacts of a kind, oldest first. Of one artifact's copies, the last used is taken."""
        found: dict[str, Artifact] = {}
        for one in (one for store in self.stores for one in store.artifacts(kind)):
            known = found.get(one.address)
            if known is None or last_use(one) > last_use(known):
                found[one.address] = one
        return sorted(found.values(), key=lambda one: (str(one.manifest.get("created", "")), one.address))
