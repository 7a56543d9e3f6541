"""Where W&B puts what it writes: beside the run, or nowhere."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def staged_in(folder: Path) -> Iterator[None]:
    """Keeps what W&B stages for a table beside the run, for `wandb sync`, instead of in the home folder."""
    before = os.environ.get("WANDB_DATA_DIR")
    os.environ["WANDB_DATA_DIR"] = before or str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["WANDB_DATA_DIR"]


def check_writable(folder: Path) -> None:
    """Nothing. Raises: OSError; wandb itself would quietly write to a temporary folder instead."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
