"""File hashes, cached, so that the 15 GB of a model are read once.

A file counts as unchanged while its device, inode, size, mtime and ctime are unchanged. A program cannot set the
ctime, so a file replaced by another of equal size and mtime is hashed again.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from nait.core.addresses import digest_file
from nait.core.errors import ModelError
from nait.store import write_json
from nait.store.files.locks import locked

SETTLED_NS = 2_000_000_000
"""Files changed more recently than this are not cached: clock resolution may hide a second change."""
_IDENTITY = re.compile(r"\d+(:\d+){4}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def file_digests(files: Mapping[str, Path], memory: Path | None = None) -> dict[str, str]:
    """SHA-256 of each file, by name. `memory` is a cache file of hashes by file identity.

    Several processes may share `memory`; a damaged one is ignored and rewritten.

    Raises: ModelError if a file changes while it is read.
    """
    known = _cached_digests(memory)
    new: dict[str, str] = {}
    found = {}
    for name, file in files.items():
        state, now = identity(file), time.time_ns()
        found[name] = known.get(state) or digest_file(file)
        if identity(file) != state:
            raise ModelError("changes while it is read", where=str(file), fix="Run again when it is written.")
        if state not in known and file.stat().st_ctime_ns + SETTLED_NS < now:
            new[state] = found[name]
    if memory and new:
        _cache_digests(memory, new)
    return found


def identity(file: Path) -> str:
    """Device, inode, size, mtime and ctime: they change whenever the file's bytes do."""
    facts = file.stat()
    return f"{facts.st_dev}:{facts.st_ino}:{facts.st_size}:{facts.st_mtime_ns}:{facts.st_ctime_ns}"


def _cached_digests(memory: Path | None) -> dict[str, str]:
    """Digests in `memory` by identity. Invalid entries are ignored."""
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


def _cache_digests(memory: Path, new: Mapping[str, str]) -> None:
    """Merge `new` into `memory`. If it cannot be written, files are hashed again next time."""
    with contextlib.suppress(OSError):
        memory.parent.mkdir(parents=True, exist_ok=True)
        with locked(memory.with_name(memory.name + ".lock")):
            write_json(memory, {**_cached_digests(memory), **new})
