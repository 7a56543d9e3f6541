"""W&B artifacts: files of the store, uploaded or by reference, that a run made or used."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

NAME_CHARS = 128
"""W&B rejects longer names of artifacts and groups."""


def artifact_of(name: str, kind: str, files: Mapping[str, Path], metadata: Any, *, largest: float) -> Any:
    """An artifact of these files. A file of more than `largest` bytes is a reference to its path.

    Raises: FileNotFoundError for a missing file.
    """
    import wandb

    made = wandb.Artifact(label(name), type=kind, metadata=metadata)
    for place, file in files.items():
        if file.stat().st_size > largest:
            made.add_reference(file.absolute().as_uri(), name=place, checksum=False)
        else:
            made.add_file(str(file), name=place, policy="immutable")
    return made


def use(run: Any, made: Any, aliases: Sequence[str]) -> None:
    """Record an artifact as an input of the run, online and offline, without waiting for its upload.

    The public `use_artifact` refuses offline runs and waits online. Both modes of this call are what it does inside
    (wandb 0.31).
    """
    run._log_artifact(made, aliases=list(aliases), is_user_created=True, use_after_commit=True)


def label(text: object) -> str:
    """A name or alias that W&B accepts."""
    return re.sub(r"[^\w.-]+", "_", str(text))[:NAME_CHARS]
