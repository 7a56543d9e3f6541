"""Folders that W&B writes to: always inside the run's folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Context in which W&B stages files in `folder`, where `wandb sync` finds them, not in the home folder."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def check_writable(folder: Path) -> None:
    """Create `folder` and check that it is writable; wandb would silently use a temporary folder instead.

    Raises: OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
