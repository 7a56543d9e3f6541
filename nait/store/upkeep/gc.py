"""Garbage collection: remove what no run needs from a store. Nothing that a process uses is removed."""

from __future__ import annotations

import shutil
from pathlib import Path

from nait.core.errors import StoreError
from nait.store.files.damaged import MANIFEST
from nait.store.files.locks import locked
from nait.store.upkeep.inventory import StoredPlace, is_idle, orphans, places, scratch


def garbage(root: Path, *, with_orphans: bool = False) -> list[StoredPlace]:
    """Abandoned unfinished artifacts, damaged ones, stale locks and scratch folders; orphans on request.

    Raises: DamagedError with orphans for a damaged manifest.
    """
    left = [one for one in places(root) if one.state != "artifact" and is_idle(one)]
    return [*(one for one in left if one.path.exists()), *scratch(), *(orphans(root) if with_orphans else ())]


def remove(found: list[StoredPlace]) -> int:
    """Remove these places. An artifact loses its manifest first. Returns the bytes.

    Raises: StoreError when one cannot be removed.
    """
    for one in found:
        try:
            if one.state in ("artifact", "unfinished"):
                with locked(one.path.with_suffix(".lock"), limit=0.0):
                    (one.path / MANIFEST).unlink(missing_ok=True)
                    shutil.rmtree(one.path)
            elif one.path.is_dir():
                shutil.rmtree(one.path)
            else:
                one.path.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"cannot be removed ({error})", where=str(one.path), fix="Check the folder's permissions."
            ) from error
    return sum(one.size for one in found)
