"""Reading an artifact's files. The error for a damaged file names it and the command that removes the artifact."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nait.core.errors import NaitError, StoreError, first_line
from nait.store.store import repair_advice


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Context for reading files of an artifact. `path`: the artifact's folder, or one file of it.

    Raises: StoreError when a file is absent, damaged or lacks a part. Libraries raise exceptions of many kinds for
    damaged bytes, so every exception within counts as damage. A NaitError keeps its own message.
    """
    try:
        yield
    except (NaitError, MemoryError):
        raise
    except Exception as error:
        raise StoreError(
            f"cannot be read ({first_line(error)})", where=str(path), fix=repair_advice(path)
        ) from error
