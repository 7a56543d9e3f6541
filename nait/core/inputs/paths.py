"""Home folders in paths, and clear errors for failed writes."""

from __future__ import annotations

import errno
import os
import re
import tempfile
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
    errno.ENODEV: "the file system cannot map files into memory",
}
NO_FOLDER = "no folder can be made there"
TEXTS = {
    "No space left on device": errno.ENOSPC,
    "Disk quota exceeded": errno.EDQUOT,
    "File too large": errno.EFBIG,
    "Read-only file system": errno.EROFS,
    "Permission denied": errno.EACCES,
}
"""Messages of libraries that raise their own errors, with the errno of each."""
NUMBERED = re.compile(r"\((?:os error|errno) (\d+)\)|\[errno (\d+)\]", re.IGNORECASE)
"""The errno in a message of safetensors or pyarrow."""
TORCH = ("PytorchStreamWriter failed writing file", "inline_container.cc")
"""What torch says when it cannot write a file, whatever the cause."""
FIX = (
    "Set another folder: paths.runs=FOLDER for runs (or hydra.run.dir=FOLDER for this one), paths.store=FOLDER for "
    "artifacts, TMPDIR for scratch files."
)
MANY = 200
"""The most characters of a path that a message shows."""
FREE = {errno.ENOSPC, errno.EDQUOT}


def write_error(error: BaseException, *, fix: str = FIX, folder: Path | None = None) -> StoreError | None:
    """The StoreError for a failed write; None when the error has another cause.

    `fix` explains how to choose another folder. `folder` is reported when the error names no file.
    """
    number = _number(error)
    cause = REFUSED.get(number) if number is not None else None
    if cause is None and number == errno.ENOENT and _makes_a_folder(error.__traceback__):
        cause = NO_FOLDER
    by_torch = any(text in str(error) for text in TORCH)
    if cause is None and by_torch:
        cause = "the file system refuses it; the disk may be full"
    if cause is None:
        return None
    free = "Free some space. " if number in FREE or by_torch else ""
    return StoreError(f"cannot be written or opened: {cause}", where=_place(error, folder), fix=free + fix)


def _number(error: BaseException) -> int | None:
    """The errno of the failure, from the message when the error has none."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    if isinstance(error, OSError) or type(error).__name__ in (
        "SafetensorError",
        "RuntimeError",
        "ArrowException",
    ):
        found = NUMBERED.search(str(error))
        if found:
            return int(found[1] or found[2])
        return next((number for text, number in TEXTS.items() if text in str(error)), None)
    return None


def _makes_a_folder(trace: TracebackType | None) -> bool:
    """Whether the innermost call is `mkdir`, so that a missing path is a parent folder and not an input file."""
    name = ""
    while trace is not None:
        name, trace = trace.tb_frame.f_code.co_name, trace.tb_next
    return name in ("mkdir", "makedirs")


def named_file(error: BaseException) -> Path | None:
    """The file that an error names; the destination when it names two."""
    for name in (getattr(error, "filename2", None), getattr(error, "filename", None)):
        if isinstance(name, str | os.PathLike):
            return Path(os.fspath(name))
    return None


def _place(error: BaseException, folder: Path | None) -> str:
    """The refused path, or the file among its parents that blocks it. The middle of a long path is cut out."""
    path = named_file(error) or folder
    if path is None:
        return "a file"
    if isinstance(error, OSError) and error.errno == errno.ENOTDIR:
        path = next((parent for parent in path.parents if parent.is_file()), path)
    text = str(path)
    return text if len(text) <= MANY else f"{text[: MANY // 2]}...{text[-MANY // 4 :]}"


def check_no_file_in_the_way(folder: Path, *, fix: str) -> None:
    """Raises: StoreError when the folder, or a parent of it, is a file."""
    found = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), None)
    if found is not None and not found.is_dir():
        raise StoreError(f"cannot be used: {IN_THE_WAY}", where=str(found), fix=fix)


def check_writable(folder: Path, *, fix: str) -> None:
    """Write a block to the folder, or to the parent in which it will be made, and remove it.

    Raises: StoreError when the file system refuses.
    """
    place = next(path for path in (folder, *folder.parents) if path.is_dir())
    try:
        with tempfile.NamedTemporaryFile(dir=place, prefix=".nait-", suffix=".part") as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        refused = write_error(error, fix=fix, folder=folder)
        why = NO_FOLDER if error.errno == errno.ENOENT else str(error)  # such as below /proc
        raise refused or StoreError(f"cannot be written: {why}", where=str(folder), fix=fix) from error


def at_home(path: str | Path) -> Path:
    """The path with `~` expanded to the home folder; `~name` stays when no user has that name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib raises for an unknown user
