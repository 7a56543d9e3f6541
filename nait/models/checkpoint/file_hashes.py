"""Digests: the hashes of files, remembered, so that the 15 GB of a model are read once.

A file is the same one as long as its device, inode, size, time of change and time of status change are. The last
cannot be set: a file that was replaced by another of the same size and time of change is read again.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from nait.core.addresses import digest_file
from nait.core.errors import ModelError
from nait.store import write_json

SETTLED_NS = 2_000_000_000
"""A file that changed less than this before it was read is not remembered: a clock tick may hide a second change."""
_IDENTITY = re.compile(r"\d+(:\d+){4}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def file_digests(files: Mapping[str, Path], memory: Path | None = None) -> dict[str, str]:
    """Each file's sha256 by its name. `memory` is a file that keeps them by the file's identity.

    Several processes may share `memory`; one that is damaged is made anew.
    Raises: ModelError when a file changes while it is read.
    """
    known = _remembered(memory)
    new: dict[str, str] = {}
    found = {}
    for name, file in files.items():
        state, now = identity(file), time.time_ns()
        found[name] = known.get(state) or digest_file(file)
        if identity(file) != state:
            raise ModelError(
                "changes while it is read", where=str(file), mend="Run again when it is written."
            )
        if state not in known and file.stat().st_ctime_ns + SETTLED_NS < now:
            new[state] = found[name]
    if memory and new:
        _remember(memory, new)
    return found


def identity(file: Path) -> str:
    """What changes whenever the file's bytes do, read without opening it."""
    facts = file.stat()
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def _remembered(memory: Path | None) -> dict[str, str]:
    """The digests in `memory` by identity; what else stands there is left out."""
    if memory is None or not memory.is_file():
        return {}
    try:
        kept = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    entries = kept.items() if isinstance(kept, dict) else ()
    return {
        state: digest
        for state, digest in entries
        if _IDENTITY.fullmatch(state) and isinstance(digest, str) and _DIGEST.fullmatch(digest)
    }


def _remember(memory: Path, new: Mapping[str, str]) -> None:
    """Add `new` to what other processes have written meanwhile. A place that cannot be written costs time alone."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(memory.with_name(memory.name + ".lock")):
            write_json(memory, {**_remembered(memory), **new})
