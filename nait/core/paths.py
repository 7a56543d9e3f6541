"""Paths as people write them: `~` in front is the home folder."""

from __future__ import annotations

import os
from pathlib import Path


def at_home(path: str | Path) -> Path:
    """The path with the home folder for `~`; a `~name` that is not a user's stays as it is: it is a file's name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib raises for such a name
