"""Copy artifacts between a store and a URL of fsspec (s3://, gs://, a folder), each whole and verified.

At the URL an artifact has the same place as in a store, `<kind>/<address>/`. Its manifest is written last, so an
artifact with one is complete. What is fetched is untrusted: only valid places are read, and every file is compared
with the manifest before the store has the artifact.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from nait.core.errors import NaitError, StoreError, first_line
from nait.store.files.damaged import KIND, MANIFEST
from nait.store.files.manifests import FILES, check_files, read_artifact
from nait.store.store import Store

log = logging.getLogger("nait")

ADDRESS_LENGTH = 32
NAMED = 5
"""Refused artifacts that are named; all are counted."""
MOST_MANIFEST_BYTES = 256 << 20


@dataclass
class Transfer:
    """Artifacts by outcome, and the bytes that were copied."""

    copied: int = 0
    present: int = 0
    size: int = 0
    refused: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [
            f"{self.copied} artifacts copied ({self.size / 1e6:.1f} MB), {self.present} were there already"
        ]
        if self.refused:
            shown = [one.rstrip(".") for one in self.refused[:NAMED]]
            parts.append(
                f"{len(self.refused)} refused: {'; '.join(shown)}{'; ...' * (len(self.refused) > NAMED)}"
            )
        return ". ".join(parts) + "."


def push(store: Store, url: str, *, kinds: Sequence[str] = ()) -> Transfer:
    """Copy the store's complete artifacts, of these kinds or all, to `url`. A damaged one is refused and named.

    Raises: StoreError if the URL cannot be opened or written.
    """
    system, root = _opened(url)
    done = Transfer()
    for folder in tqdm(list(_artifacts(store.root, kinds)), desc="Push", unit="artifact", disable=None):
        goal = f"{root}/{folder.parent.name}/{folder.name}"
        with _errors(url):
            if system.exists(f"{goal}/{MANIFEST}"):
                done.present += 1
                continue
        try:
            made = read_artifact(folder)
            if FILES not in made.manifest:
                raise StoreError("has no checksums: an earlier version made it", where=str(folder))
            check_files(made)
        except NaitError as error:
            done.refused.append(str(error))
            continue
        files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
        names = sorted(path.relative_to(folder).as_posix() for path in files)
        with _errors(url):
            for name in [*(one for one in names if one != MANIFEST), MANIFEST]:
                system.makedirs(str(PurePosixPath(goal, name).parent), exist_ok=True)
                system.put_file(str(folder / name), f"{goal}/{name}")
                done.size += (folder / name).stat().st_size
        done.copied += 1
    return done


def pull(store: Store, url: str, *, kinds: Sequence[str] = ()) -> Transfer:
    """Copy the artifacts at `url`, of these kinds or all, into the store. An invalid one is refused and named.

    Raises: StoreError if the URL cannot be opened or read.
    """
    system, root = _opened(url)
    done = Transfer()
    store.root.mkdir(parents=True, exist_ok=True)
    with _errors(url):
        found = list(_remote_artifacts(system, root, kinds))
    for kind, name in tqdm(found, desc="Pull", unit="artifact", disable=None):
        if store.find(kind, name):
            done.present += 1
            continue
        with tempfile.TemporaryDirectory(dir=store.root, suffix=".part") as scratch:
            folder = Path(scratch) / kind / name
            try:
                with _errors(url):
                    done.size += _fetch(system, f"{root}/{kind}/{name}", folder)
                store.adopt(folder)
            except NaitError as error:
                done.refused.append(f"{kind}/{name}: {error}")
                continue
        done.copied += 1
    return done


def _artifacts(root: Path, kinds: Sequence[str]) -> Iterator[Path]:
    """The folders of a store's artifacts. Links are not followed."""
    for manifest in sorted(root.glob(f"*/*/{MANIFEST}")):
        kind, name = manifest.parts[-3], manifest.parts[-2]
        linked = any(path.is_symlink() for path in (manifest, manifest.parent, manifest.parent.parent))
        if _is_place(kind, name) and not linked and (not kinds or kind in kinds):
            yield manifest.parent


def _remote_artifacts(system: Any, root: str, kinds: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Kind and address of each complete artifact below `root`."""
    for path in sorted(system.glob(f"{root}/*/*/{MANIFEST}")):
        kind, name = PurePosixPath(path).parts[-3:-1]
        if _is_place(kind, name) and (not kinds or kind in kinds):
            yield kind, name


def _is_place(kind: str, name: str) -> bool:
    return (
        bool(KIND.fullmatch(kind)) and len(name) == ADDRESS_LENGTH and not set(name) - set("0123456789abcdef")
    )


def _fetch(system: Any, place: str, folder: Path) -> int:
    """Copy the files that the manifest lists into `folder`. Returns bytes. Raises: StoreError if it is invalid."""
    folder.mkdir(parents=True)
    if system.size(f"{place}/{MANIFEST}") > MOST_MANIFEST_BYTES:
        raise StoreError("the manifest is too large", where=place)
    system.get_file(f"{place}/{MANIFEST}", str(folder / MANIFEST))
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        names = list(manifest[FILES])
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise StoreError("the manifest lists no files", where=place) from error
    size = (folder / MANIFEST).stat().st_size
    for name in names:
        if not _is_inside(name):
            raise StoreError(f"'{name}' is not a file of an artifact", where=place)
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        system.get_file(f"{place}/{name}", str(folder / name))
        size += (folder / name).stat().st_size
    return size


def _is_inside(name: Any) -> bool:
    """Whether a name leads to a file below the folder in which it is."""
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name != MANIFEST


def _opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there. Raises: StoreError for one that cannot be opened."""
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:
        raise StoreError(
            f"cannot be opened ({first_line(error)})", where=url,
            fix="s3:// needs pip install s3fs, gs:// needs gcsfs.",
        ) from error  # fmt: skip
    return system, str(root).rstrip("/")


@contextmanager
def _errors(url: str) -> Iterator[None]:
    """Within the block, a failure of the remote file system becomes one StoreError."""
    try:
        yield
    except (OSError, ValueError, RuntimeError) as error:
        raise StoreError(
            f"cannot be copied ({first_line(error)})", where=url, fix="Check the URL and its permissions."
        ) from error
