"""Inventory of a store: its artifacts by kind, what runs need, and what interrupted or ended work left behind."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import gettempdir
from typing import Any, Literal

from nait.core.errors import StoreError
from nait.store.files.damaged import DAMAGED, KIND, MANIFEST, is_place
from nait.store.files.durable import PART
from nait.store.files.locks import if_free
from nait.store.files.manifests import Artifact, read_artifact

LOCKS = (".lock", ".lead")
RUNS = ("runs", "partial_runs")
"""Kinds that record a run: one with a report, and one that only selected or trained."""
CHEAP = (*RUNS, "contamination", "renderings", "prompts", "openings", "plans", "traits")
"""Kinds that are small, or that no link names: they are never orphans."""
SCRATCH = "nait-*"
"""Folders of this package in the folder for temporary files."""
DAY_SECONDS = 86_400.0
State = Literal["artifact", "unfinished", "damaged", "lock", "scratch"]


@dataclass(frozen=True)
class StoredPlace:
    """A file or folder in a store, or a scratch folder. `size`: bytes. `age`: seconds since its last change."""

    path: Path
    kind: str
    state: State
    size: int
    age: float


def places(root: Path) -> list[StoredPlace]:
    """Everything in the store's folders of kinds. Files that belong to no artifact are not listed.

    Of a kind whose folder is a link, only artifacts are listed: what else is there may not be a store's.
    """
    found = []
    for folder in sorted(one for one in root.iterdir() if one.is_dir() and KIND.fullmatch(one.name)):
        for path in sorted(folder.iterdir()):
            state = _state(path)
            if (
                state
                and (state == "artifact" or not folder.is_symlink())
                and (place := _place(path, folder.name, state))
            ):
                found.append(place)
    return found


def scratch() -> list[StoredPlace]:
    """Scratch folders of ended processes: those unchanged for a day."""
    found = [
        _place(path, "scratch", "scratch")
        for path in sorted(Path(gettempdir()).glob(SCRATCH))
        if path.is_dir()
    ]
    return [one for one in found if one and one.age > DAY_SECONDS]


def _state(path: Path) -> State | None:
    if path.is_symlink():
        return None
    if path.suffix in LOCKS:
        return "lock"
    if path.suffix == PART:
        return "unfinished"
    if DAMAGED in path.name:
        return "damaged"
    return "artifact" if is_place(path) and (path / MANIFEST).is_file() else None


def _place(path: Path, kind: str, state: State) -> StoredPlace | None:
    """The place; None if another process removes it, or a file of it, at this moment."""
    try:
        facts = [one.lstat() for one in (path, *(path.rglob("*") if path.is_dir() else ()))]
    except FileNotFoundError:
        return None
    size = sum(one.st_size for one in facts[1:] or facts)
    return StoredPlace(path, kind, state, size, max(0.0, time.time() - max(one.st_mtime for one in facts)))


def is_idle(place: StoredPlace) -> bool:
    """Whether no process holds the lock of an unfinished artifact, or the lock itself."""
    lock = place.path if place.state == "lock" else place.path.with_suffix(LOCKS[0])
    if not lock.exists():
        return True
    with if_free(lock) as free:
        return free


def orphans(root: Path) -> list[StoredPlace]:
    """Artifacts that no recorded run needs, directly or through what its artifacts were made of.

    Artifacts behind a link are none.

    Raises: DamagedError for a damaged manifest: what it needs is unknown.
    """
    listed = [one for one in places(root) if one.state == "artifact"]
    made = [*(read_artifact(one.path) for one in listed), *linked(root)]
    own = [one for one in listed if one.kind not in CHEAP and not one.path.parent.is_symlink()]
    removable = {one.path for one in own}
    needed = reachable(made, [one.address for one in made if one.path not in removable])
    return [one for one in own if one.path.name not in needed]


def linked(root: Path) -> list[Artifact]:
    """The artifacts that are links to folders elsewhere. They are never removed, and what they need stays."""
    paths = [path for path in sorted(root.glob(f"*/*/{MANIFEST}")) if path.parent.is_symlink()]
    return [read_artifact(path.parent) for path in paths if is_place(path.parent)]


def reachable(made: Sequence[Artifact], starts: Iterable[str]) -> set[str]:
    """Addresses that these ones lead to, themselves included. A signal is needed with its pass."""
    links: dict[str, set[str]] = {}
    for one in made:
        links.setdefault(one.address, set()).update(_links(one.manifest))
    left = [*starts]
    found: set[str] = set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += links.get(name, ())
    return found | {one.address for one in made if one.manifest.get("pass") in found}


def _links(manifest: Any) -> Iterator[str]:
    """Addresses in an artifact's manifest: a run's links, what it was made of or with, and those in its key."""
    yield from (str(name) for name in (manifest.get("links") or {}).values() if name)
    yield from (str(name) for _, name, *_used in manifest.get("made_of") or ())
    yield from (str(name) for _, name, *_used in manifest.get("derived") or ())
    yield from _texts(manifest["key"])
    if "pass" in manifest:
        yield str(manifest["pass"])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def sizes(found: Iterable[StoredPlace]) -> dict[tuple[str, State], tuple[int, int]]:
    """Number and bytes by kind and state."""
    counted: dict[tuple[str, State], tuple[int, int]] = {}
    for one in found:
        count, size = counted.get((one.kind, one.state), (0, 0))
        counted[one.kind, one.state] = count + 1, size + one.size
    return counted


def over_limit(root: Path, limit_gb: float | None) -> list[str]:
    """A warning if the store is larger than the limit; none without a limit."""
    if limit_gb is None or not root.is_dir():
        return []
    size = sum(one.size for one in places(root)) / 1e9
    if size <= limit_gb:
        return []
    return [
        f"The store {root} has {size:.1f} GB, more than store.limit_gb={limit_gb:g}. "
        "`nait store gc --orphans` shows what no run needs."
    ]


def check_store(root: Path) -> None:
    """Raises: StoreError if there is no store in this folder."""
    if not root.is_dir() or not any(KIND.fullmatch(one.name) for one in root.iterdir() if one.is_dir()):
        raise StoreError("there is no store", where=str(root), fix="Give the folder of paths.store.")
