"""Damage: the error that names it, and the place where damaged files are set aside.

A damaged artifact `<kind>/<address>` becomes `<kind>/<address>.damaged`. A damaged file of an unfinished artifact
becomes a file in that folder. Whatever is set aside is made again by the job that needs it.
"""

from __future__ import annotations

import errno
import logging
import re
from pathlib import Path

from nait.core.errors import StoreError
from nait.store.files.durable import PART, make_folder, rename

log = logging.getLogger("nait")

MANIFEST = "manifest.json"
DAMAGED = ".damaged"
AGAIN = "Run the job again: it sets the damaged artifact aside and makes it again."
KIND = re.compile(r"[a-z_]+")
ADDRESS = re.compile(r"[0-9a-f]{32}")
UNREADABLE = {
    errno.EACCES: "there is no permission to read it",
    errno.EPERM: "there is no permission to read it",
    errno.ENODEV: "the file system cannot map files into memory",
    errno.ESTALE: "the network folder is gone",
    errno.EMFILE: "too many files are open (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine",
    errno.ENOMEM: "there is not enough memory",
}
"""Errors of reading that do not mean that a file is damaged."""


class DamagedError(StoreError):
    """An artifact's file is damaged. `artifact`: the artifact's folder."""

    def __init__(self, what: str, *, path: Path, artifact: Path) -> None:
        super().__init__(what, where=str(path), fix=AGAIN)
        self.artifact = artifact


def is_place(folder: Path) -> bool:
    """Whether a path has the form of an artifact's folder, `.../<kind>/<address>`."""
    return bool(ADDRESS.fullmatch(folder.name) and KIND.fullmatch(folder.parent.name))


def artifact_of(path: Path) -> Path | None:
    """The folder of the artifact that holds `path`, a file or a folder; None for a path outside artifacts."""
    path = path.absolute()
    found = (folder for folder in (path, *path.parents) if is_place(folder))
    return next((folder for folder in found if (folder / MANIFEST).is_file()), None)


def repair_advice(path: Path, otherwise: str = "Check the file, or restore it from its source.") -> str:
    """Advice for a damaged file or folder. `otherwise`: the advice for a file outside any artifact."""
    return otherwise if artifact_of(path) is None else AGAIN


def damaged(
    path: Path, what: str, otherwise: str = "Check the file, or restore it from its source."
) -> StoreError:
    """The error for a damaged file: a DamagedError inside an artifact, else a StoreError with the other advice."""
    folder = artifact_of(path)
    if folder is None:
        return StoreError(what, where=str(path), fix=otherwise)
    return DamagedError(what, path=path, artifact=folder)


def unreadable(error: BaseException, path: Path) -> StoreError | None:
    """The error for a file that cannot be read although it may be whole; None for any other cause."""
    cause = UNREADABLE.get(error.errno or 0) if isinstance(error, OSError) else None
    if cause is None:
        return None
    place = getattr(error, "filename", None) or path
    return StoreError(
        f"cannot be read: {cause}", where=str(place), fix="Check the permissions, or set paths.store=FOLDER."
    )


def set_aside(path: Path, why: str) -> Path:
    """Move a damaged artifact, or a damaged file of an unfinished one, aside. Returns its new place, and logs it.

    Outside a store, the place is a folder `damaged` beside it.
    """
    place = _place_aside(path)
    make_folder(place.parent)
    rename(path, place)
    log.warning("%s %s. It is set aside as %s and made again.", path, why, place)
    return place


def _place_aside(path: Path) -> Path:
    """A new name for a damaged file or folder."""
    whole = [one.with_name(one.name.removesuffix(PART)) for one in (path, *path.parents) if one.name]
    found = next((i for i, one in enumerate(whole) if is_place(one)), None)
    if found is None:
        return _free(path.parent / DAMAGED[1:] / path.name)
    base = whole[found].with_name(whole[found].name + DAMAGED)
    return _free(base / path.name if found else base)


def _free(path: Path) -> Path:
    """`path`, or with the first number that makes it a new name."""
    found, number = path, 1
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
