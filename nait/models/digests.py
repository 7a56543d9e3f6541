"""Digests: the hashes of files, remembered, so that the 15 GB of a model are read once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nait.core.address import digest_file
from nait.store import read_json, write_json


def file_digests(files: Iterable[Path], memory: Path | None = None) -> dict[str, str]:
    """Each file's sha256 by its name. `memory` keeps them by the file's path, size and time of change.

    Raises: StoreError when `memory` is damaged.
    """
    known: dict[str, str] = dict(read_json(memory)) if memory and memory.is_file() else {}
    before = len(known)
    found = {}
    for file in files:
        state = _state(file)
        if state not in known:
            known[state] = digest_file(file)
        found[file.name] = known[state]
    if memory and len(known) > before:
        memory.parent.mkdir(parents=True, exist_ok=True)
        write_json(memory, known)
    return found


def _state(file: Path) -> str:
    """What changes when the file does."""
    real = file.resolve()
    facts = real.stat()
    return f"{real}|{facts.st_size}|{facts.st_mtime_ns}"
