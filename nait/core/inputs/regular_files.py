"""Files from elsewhere that are read whole: only regular files, and only as large as their content can be."""

from __future__ import annotations

import stat
from pathlib import Path

LARGEST_MB = 256
"""The size of the largest record that is read, in MB."""


def regular_text(path: Path, *, largest_mb: int = LARGEST_MB, encoding: str = "utf-8") -> str:
    """The text of a regular file. A pipe could block its reader for ever; a device has no end.

    Raises: OSError; ValueError for a pipe, a device or a folder, a file that is too large, or other bytes than text.
    """
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("it is not a regular file")
    if facts.st_size > largest_mb << 20:
        raise ValueError(f"it has more than {largest_mb} MB")
    return path.read_text(encoding=encoding)
