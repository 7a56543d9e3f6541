"""Reading an artifact's files: each is compared with its checksum before its first use in a process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nait.core.errors import NaitError, first_line
from nait.store.files.damaged import damaged, unreadable
from nait.store.files.manifests import check_path


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Context for reading files of an artifact. `path`: the artifact's folder, or one file of it.

    Raises: DamagedError when a file is absent, damaged or lacks a part. Libraries raise exceptions of many kinds for
    damaged bytes, so every exception within counts as damage, except those of permissions and of missing resources.
    A NaitError keeps its own message.
    """
    try:
        check_path(path)
        yield
    except (NaitError, MemoryError):
        raise
    except Exception as error:
        raise unreadable(error, path) or damaged(path, f"cannot be read ({first_line(error)})") from error
