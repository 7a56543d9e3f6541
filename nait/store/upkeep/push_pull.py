"""Copy artifacts between a store and a URL of fsspec (s3://, gs://, a folder), each whole and verified."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from nait.core.errors import NaitError, StoreError
from nait.core.inputs.secrets import without_login
from nait.store.files.damaged import MANIFEST, is_place
from nait.store.files.manifests import FILES, check_files, read_artifact
from nait.store.store import Store
from nait.store.upkeep.remote_artifacts import (
    Listing,
    errors_of,
    fetch_files,
    has_files,
    is_manifest,
    is_whole,
    listing,
    opened,
    send_files,
)

NAMED = 5
"""Refused artifacts that are named; all are counted."""


@dataclass
class Transfer:
    """Artifacts by outcome, and the bytes that were copied.

    `differing` of those that were `present` have files of other sizes here and there. `advice`: what to do about the
    refused ones.
    """

    advice: str
    copied: int = 0
    present: int = 0
    differing: int = 0
    size: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        kept = f" ({self.differing} with files of other sizes, which stay)" if self.differing else ""
        parts = [
            f"{self.copied} artifacts copied ({self.size / 1e6:.1f} MB), {self.present} were there already{kept}"
        ]
        if self.refused:
            shown = [one.rstrip(".") for one in self.refused[:NAMED]]
            more = "; ..." * (len(self.refused) > NAMED)
            parts += [f"{len(self.refused)} refused: {'; '.join(shown)}{more}", self.advice]
        return ". ".join(parts) + "."


def push(store: Store, url: str, *, kinds: Sequence[str] = ()) -> Transfer:
    """Copy the store's complete artifacts, of these kinds or all, to `url`. A damaged one is refused and named.

    Raises: StoreError if there is none, or the URL cannot be opened or written.
    """
    system, root = opened(url)
    folders = list(_artifacts(store.root, kinds))
    _check_some(folders, str(store.root), kinds)
    done = Transfer("Run their jobs again, which make them again, then push")
    with errors_of(url):
        there = listing(system, root, kinds)
    for folder in tqdm(folders, desc="Push", unit="artifact", disable=None):
        with _refusals(done, folder), errors_of(url):
            _push(folder, system, root, there, done)
    return done


def _push(folder: Path, system: Any, root: str, there: Listing, done: Transfer) -> None:
    place = f"{folder.parent.name}/{folder.name}"
    made = read_artifact(folder)
    if FILES not in made.manifest:
        raise StoreError("has no checksums: an earlier version made it", where=str(folder))
    known = f"{place}/{MANIFEST}" in there
    same = known and has_files(there, place, made.manifest[FILES])
    if same or (known and is_whole(system, root, place, there)):
        done.present += 1
        done.differing += not same
        return
    check_files(made)
    done.size += send_files(system, folder, f"{root}/{place}", replaces=known)
    done.copied += 1


def pull(store: Store, url: str, *, kinds: Sequence[str] = ()) -> Transfer:
    """Copy the artifacts at `url`, of these kinds or all, into the store. An invalid one is refused and named.

    An artifact that the store has stays as it is. Raises: StoreError if there is none, or the URL cannot be opened or
    read.
    """
    system, root = opened(url)
    done = Transfer(
        f"Remove them at {without_login(url)}, and push them again from a store that has them whole"
    )
    with errors_of(url):
        there = listing(system, root, kinds)
    found = sorted({PurePosixPath(path).parts[:2] for path in there if is_manifest(path)})
    _check_some(found, without_login(url), kinds)
    store.root.mkdir(parents=True, exist_ok=True)
    for kind, name in tqdm(found, desc="Pull", unit="artifact", disable=None):
        own = store.find(kind, name)
        if own:
            done.present += 1
            done.differing += not has_files(there, f"{kind}/{name}", own.manifest.get(FILES, {}))
            continue
        with tempfile.TemporaryDirectory(dir=store.root, suffix=".part") as scratch:
            folder = Path(scratch) / kind / name
            with _refusals(done, folder):
                with errors_of(url):
                    size = fetch_files(system, f"{root}/{kind}/{name}", folder)
                store.adopt(folder)
                done.size += size
                done.copied += 1
    return done


def _check_some(found: Sequence[Any], where: str, kinds: Sequence[str]) -> None:
    """Raises: StoreError if nothing was found, as with a mistyped address."""
    if not found:
        of = f" of the kind {' or '.join(kinds)}" if kinds else ""
        raise StoreError(
            f"holds no complete artifact{of}",
            where=where,
            fix="Check the address: artifacts are in KIND/ADDRESS/.",
        )


@contextmanager
def _refusals(done: Transfer, folder: Path) -> Iterator[None]:
    """Within the block, an error of a file in this artifact's folder is noted, with its kind and address."""
    try:
        yield
    except NaitError as error:
        if not error.where.startswith(str(folder)):
            raise
        done.refused.append(
            f"{folder.parent.name}/{folder.name}{error.where.removeprefix(str(folder))} {error.what}"
        )


def _artifacts(root: Path, kinds: Sequence[str]) -> Iterator[Path]:
    """The folders of a store's artifacts. Links are not followed."""
    for manifest in sorted(root.glob(f"*/*/{MANIFEST}")):
        kind = manifest.parts[-3]
        linked = any(path.is_symlink() for path in (manifest, manifest.parent, manifest.parent.parent))
        if is_place(manifest.parent) and not linked and (not kinds or kind in kinds):
            yield manifest.parent
