"""Several stores seen as one: what one machine has, another need not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from nait.store import Artifact, Store


class ReadableStore(Protocol):
    """What is read of a store."""

    @property
    def root(self) -> Path: ...

    def find(self, kind: str, key: str) -> Artifact | None: ...

    def artifacts(self, kind: str) -> list[Artifact]: ...


class Stores:
    """The artifacts of several stores; one that several hold is there once."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = list(stores)

    @property
    def root(self) -> Path:
        """The first store's folder."""
        return self.stores[0].root

    def find(self, kind: str, key: str) -> Artifact | None:
        """The artifact of the first store that has it."""
        return next((found for store in self.stores if (found := store.find(kind, key))), None)

    def artifacts(self, kind: str) -> list[Artifact]:
        """All of a kind, in the order of their making."""
        found = {one.address: one for store in reversed(self.stores) for one in store.artifacts(kind)}
        return sorted(found.values(), key=lambda one: (str(one.manifest.get("created", "")), one.address))
