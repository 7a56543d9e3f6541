"""Artifacts at a URL of fsspec: listed, sent and fetched.

At the URL an artifact has the same place as in a store, `<kind>/<address>/`. Its manifest is written last, so an
artifact with one is complete. One whose files are missing, or have other sizes than it lists, is sent again. What is
fetched is untrusted: only valid places are read, and the caller compares every file with the manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from nait.core.errors import NaitError, StoreError, first_line
from nait.core.inputs.secrets import without_login
from nait.store.files.damaged import MANIFEST, is_place
from nait.store.files.manifests import FILES

MOST_MANIFEST_BYTES = 256 << 20
Listing = Mapping[str, int]
"""The size of each file at a URL, by its place below it."""


def opened(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path there. Raises: StoreError for one that cannot be opened."""
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(url)
    except Exception as error:  # each service's client has exceptions of its own
        raise StoreError(
            f"cannot be opened ({first_line(error) or type(error).__name__})", where=without_login(url),
            fix="s3:// needs pip install s3fs, gs:// needs gcsfs.",
        ) from error  # fmt: skip
    return system, str(root).rstrip("/")


@contextmanager
def errors_of(url: str) -> Iterator[None]:
    """Within the block, a failure of the remote file system becomes one StoreError."""
    try:
        yield
    except NaitError:
        raise
    except Exception as error:  # each service's client has exceptions of its own
        raise StoreError(
            f"cannot be copied ({first_line(error) or type(error).__name__})",
            where=without_login(url),
            fix="Check the URL, the login and the permissions.",
        ) from error


def listing(system: Any, root: str, kinds: Sequence[str]) -> Listing:
    """The files below `root`, of these kinds or all."""
    system.invalidate_cache()
    found: dict[str, int] = {}
    for top in [f"{root}/{kind}" for kind in kinds] or [root]:
        for path, about in system.find(top, detail=True).items():
            found[str(path)[len(root) :].lstrip("/")] = int(about.get("size") or 0)
    return found


def is_manifest(path: str) -> bool:
    """Whether a place below a store is that of an artifact's manifest."""
    parts = PurePosixPath(path).parts
    return len(parts) == 3 and parts[2] == MANIFEST and is_place(Path(*parts[:2]))


def has_files(there: Listing, place: str, files: Mapping[str, Any]) -> bool:
    """Whether all files that a manifest lists are at a place, with their sizes."""
    return all(there.get(f"{place}/{name}") == about["bytes"] for name, about in files.items())


def is_whole(system: Any, root: str, place: str, there: Listing) -> bool:
    """Whether the artifact at a place has the files that its own manifest lists."""
    if there[f"{place}/{MANIFEST}"] > MOST_MANIFEST_BYTES:
        return False
    try:
        return has_files(there, place, json.loads(system.cat_file(f"{root}/{place}/{MANIFEST}"))[FILES])
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return False


def send_files(system: Any, folder: Path, goal: str, *, replaces: bool) -> int:
    """Copy an artifact's files to `goal`, its manifest last. Returns bytes."""
    if replaces:  # it is not complete while it is written
        system.rm_file(f"{goal}/{MANIFEST}")
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    names = sorted(path.relative_to(folder).as_posix() for path in files)
    size = 0
    for name in [*(one for one in names if one != MANIFEST), MANIFEST]:
        system.makedirs(str(PurePosixPath(goal, name).parent), exist_ok=True)
        system.put_file(str(folder / name), f"{goal}/{name}")
        size += (folder / name).stat().st_size
    return size


def fetch_files(system: Any, place: str, folder: Path) -> int:
    """Copy the files that the manifest lists into `folder`. Returns bytes. Raises: StoreError if it is invalid."""
    folder.mkdir(parents=True)
    if system.size(f"{place}/{MANIFEST}") > MOST_MANIFEST_BYTES:
        raise StoreError("is too large", where=str(folder / MANIFEST))
    system.get_file(f"{place}/{MANIFEST}", str(folder / MANIFEST))
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = manifest[FILES]
        names = list(files)
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise StoreError("lists no files", where=str(folder / MANIFEST)) from error
    size = (folder / MANIFEST).stat().st_size
    for name in names:
        if not _is_inside(name):
            raise StoreError(
                f"lists '{name}', which cannot be a file of an artifact", where=str(folder / MANIFEST)
            )
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            _check_source(
                system, f"{place}/{name}", files[name] if isinstance(files, dict) else None, folder / name
            )
            system.get_file(f"{place}/{name}", str(folder / name))
        except FileNotFoundError:
            raise StoreError("is missing", where=str(folder / name)) from None
        size += (folder / name).stat().st_size
    return size


def _check_source(system: Any, path: str, listed: Any, shown: Path) -> None:
    """Raises: StoreError unless `path` is a file of the size that the manifest lists. Nothing is copied before."""
    found = system.info(path)
    if found["type"] != "file":
        raise StoreError("is not a file", where=str(shown))
    size = listed.get("bytes") if isinstance(listed, dict) else None
    if isinstance(size, int) and found.get("size") is not None and found["size"] != size:
        raise StoreError(f"has {found['size']:,} bytes instead of {size:,}", where=str(shown))


def _is_inside(name: Any) -> bool:
    """Whether a name leads to a file below the folder in which it is."""
    if not isinstance(name, str) or not name or "\\" in name or "\0" in name:
        return False
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and name != MANIFEST
