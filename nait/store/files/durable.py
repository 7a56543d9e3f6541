"""Durable writes: content, names and folders reach the disk in the order that a power cut needs.

A rename may reach the disk before the content of the renamed file. So content is synced first, then the folder that
holds it, then the rename, then the folder of the new name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

UNSYNCED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}
"""Errors of file systems that cannot sync a folder, or a file that is open for reading."""
PART = ".part"
"""The suffix of a file or folder that is not complete."""


def sync(path: Path) -> None:
    """Write a file's content, or a folder's names, to the disk. Raises: OSError if the disk refuses."""
    if sys.platform == "win32" and path.is_dir():
        return  # Windows has no handle of a folder
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        sync_handle(handle)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(handle)


def sync_handle(handle: int) -> None:
    """Write an open file's content to the disk, through the disk's cache on macOS too."""
    if sys.platform == "darwin":
        import fcntl

        with contextlib.suppress(OSError):  # a network folder has no such call
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def sync_tree(folder: Path) -> None:
    """Write every file under a folder to the disk, then every folder, innermost first."""
    for place, _, files in os.walk(folder, topdown=False):
        for name in sorted(files):
            sync(Path(place, name))
        sync(Path(place))


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; the new names reach the disk."""
    new = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in reversed(new):
        sync(path.parent)


def rename(part: Path, path: Path) -> None:
    """Rename a file or folder whose content is synced; the new name reaches the disk."""
    part.replace(path)
    sync(path.parent)
    if part.parent != path.parent:
        sync(part.parent)


def part_of(path: Path) -> Path:
    """A new name beside `path` for its content while it is written. Processes never share such a name."""
    return path.with_name(f"{path.name}.{secrets.token_hex(4)}{PART}")


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write a file to. At the end of the block it is synced and becomes `path`; an error removes it."""
    part = part_of(path)
    try:
        yield part
        sync(part)
        rename(part, path)
    except BaseException:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write a text file: it has the old content or the new one, also after a power cut."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON as `write_text` does."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False) + "\n")
