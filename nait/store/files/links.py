"""Links and special files: a store that is only read may come from elsewhere, and may hold plain files alone."""

from __future__ import annotations

import stat
from pathlib import Path

from nait.core.errors import StoreError


def check_plain_tree(folder: Path) -> None:
    """Check a folder and the names in it as `check_plain` does."""
    check_plain(folder)
    if folder.is_dir():
        for inner in folder.iterdir():
            check_plain(inner)


def check_plain(path: Path) -> None:
    """Raises: StoreError for a link, a pipe or a device. A path that does not exist passes.

    A link could lead a reader to any file of its user; a pipe could block it for ever.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return
    raise StoreError(
        "is a link" if stat.S_ISLNK(mode) else "is neither a file nor a folder",
        where=str(path),
        fix="A store that is only read may hold no links: copy it with `cp -rL`, or remove it from the command.",
    )
