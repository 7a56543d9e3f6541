"""Shared artifacts: several processes compute one artifact, and the leader writes it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nait.core.ranks import WAIT_SECONDS
from nait.store import Artifact, Store
from nait.store.files.locks import if_free


def produce_together(
    store: Store,
    kind: str,
    key: Mapping[str, Any],
    write: Callable[[Path], Mapping[str, Any]],
    join: Callable[[Path], None],
) -> Artifact:
    """The artifact of this key: found, or produced by `write(folder)` as in `Store.produce`.

    While another process leads, this one calls `join(folder)` repeatedly to help. If the leader dies, another process
    takes over.
    """
    folder = store.folder(kind, key)
    folder.parent.mkdir(parents=True, exist_ok=True)
    helped = False
    while (found := store.find(kind, key)) is None:
        helped = True
        with if_free(folder.with_suffix(".lead")) as leads:
            if leads:
                return store.produce(kind, key, write)
        join(folder.with_suffix(".part"))
        time.sleep(WAIT_SECONDS)
    return replace(found, fresh=helped)
