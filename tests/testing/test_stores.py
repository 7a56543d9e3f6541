"""All stores of ours keep the stores' contract."""

from __future__ import annotations

from pathlib import Path

from nait.planning.dry_run_doubles import OverlayStore
from nait.store import Store
from nait.testing import StoreContract


class TestStore(StoreContract):
    def store(self, root: Path) -> Store:
        return Store(root)


class TestAside(StoreContract):
    """Over an empty store."""

    def store(self, root: Path) -> Store:
        return OverlayStore(root, Store(root / "below"))
