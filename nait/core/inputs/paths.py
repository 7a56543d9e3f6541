"""Paths as people write them, and the error for a file system that refuses a write."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType

from nait.core.errors import StoreError

IN_THE_WAY = "there is a file, or a link that leads nowhere, where a folder is needed"
REFUSED = {
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.ENOTDIR: IN_THE_WAY,
    errno.EEXIST: IN_THE_WAY,
    errno.EISDIR: "there is a folder where a file is needed",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "symbolic links lead in a circle",
    errno.EROFS: "the file system is read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than this shell or file system allows (ulimit -f)",
    errno.EIO: "the disk reports an error",
    errno.ESTALE: "the network folder is gone",
    errno.ENOLCK: "the file system has no locks",
}
NO_FOLDER = "no folder can be made there"
TEXTS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
}
"""What libraries say that raise errors of their own (safetensors, pyarrow)."""
TORCH = "PytorchStreamWriter failed writing file"
MEND = "Set another folder: paths.runs=FOLDER for runs, paths.store=FOLDER for artifacts, TMPDIR for scratch files."
MANY = 200
"""Characters of a path that are shown."""
FREE = {errno.ENOSPC, errno.EDQUOT}


def cannot_write(error: BaseException, *, mend: str = MEND, folder: Path | None = None) -> StoreError | None:
    """The error for a file system that refuses a write; None for any other failure.

    `mend` says how another folder is chosen; `folder` is where an error was met that names no file.
    """
    number = _number(error)
    cause = REFUSED.get(number) if number is not None else None
    if cause is None and number == errno.ENOENT and _makes_a_folder(error.__traceback__):
        cause = NO_FOLDER
    if cause is None and TORCH in str(error):
        cause = "the file system refuses it; the disk may be full"
    if cause is None:
        return None
    free = "Free some space. " if number in FREE else ""
    return StoreError(f"cannot be written or opened: {cause}", where=_place(error, folder), mend=free + mend)


def _number(error: BaseException) -> int | None:
    """The system's number of the failure, from a library's words where the error does not have it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError) or type(error).__name__ in (
        "SafetensorError",
        "RuntimeError",
        "ArrowException",
    ):
        return next((number for text, number in TEXTS.items() if text in str(error)), None)
    return None


def _makes_a_folder(trace: TracebackType | None) -> bool:
    """Whether the innermost call is `mkdir`: what it does not find is the place for the folder, no file to read."""
    name = ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_name, trace.tb_next
    return name in ("mkdir", "makedirs")


def named(error: BaseException) -> Path | None:
    """The file that an error names, of a copy the one that was written."""
    for name in (getattr(error, "filename2", None), getattr(error, "filename", None)):
        if isinstance(name, str | os.PathLike):
            return Path(os.fspath(name))
    return None


def _place(error: BaseException, folder: Path | None) -> str:
    """The path that was refused; of one with a file on the way to it, that file. Shortened in its middle."""
    path = named(error) or folder
    if path is None:
        return "a file"
    if isinstance(error, OSError) and error.errno == errno.ENOTDIR:
        path = next((parent for parent in path.parents if parent.is_file()), path)
    text = str(path)
    return text if len(text) <= MANY else f"{text[: MANY // 2]}...{text[-MANY // 4 :]}"


def at_home(path: str | Path) -> Path:
    """The path with the home folder for `~`; a `~name` that is not a user's stays as it is: it is a file's name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib raises for such a name
