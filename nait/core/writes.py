"""Writes: what to say where a file system refuses one."""

from __future__ import annotations

import errno
import os

from nait.core.errors import StoreError

REFUSED = {
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.ENOTDIR: "there is a file where a folder is needed",
    errno.EEXIST: "there is a file where a folder is needed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this shell or file system allows (ulimit -f)",
}


def cannot_write(error: OSError) -> StoreError | None:
    """The error for a file system that refuses a write; None for any other failure."""
    if error.errno not in REFUSED:
        return None
    place = os.fspath(error.filename) if isinstance(error.filename, str | os.PathLike) else "a file"
    return StoreError(
        f"cannot be written or opened: {REFUSED[error.errno]}",
        where=str(place),
        mend="Runs go to paths.runs=FOLDER, artifacts to paths.store=FOLDER, scratch files to TMPDIR.",
    )
