"""Checksums: size and SHA-256 of files, and the checksum of a JSON object.

A file is hashed at most once per process while its inode, size and times are unchanged.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nait.core.addresses import digest_file

CHECKSUM = "checksum"
"""The entry of a JSON object with the checksum of its other entries."""
MANY = 2_000
"""The number of files whose hashes a process remembers."""
LARGE = 1 << 26
"""Bytes from which several files are hashed at the same time."""
THREADS = 4
State = tuple[int, int, int, int, int]

_known: dict[State, str] = {}


def state_of(path: Path) -> State:
    """Device, inode, size, mtime and ctime of a file: they change whenever its bytes do."""
    facts = path.stat()
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


def sha256(path: Path) -> str:
    """A file's SHA-256 in hex, from memory if this process has read the file before."""
    state = state_of(path)
    digest = _known.get(state)
    if digest is None:
        digest = digest_file(path)
        if len(_known) >= MANY:
            _known.clear()  # another thread may read it
        _known[state] = digest
    return digest


def sums_of(folder: Path, *, without: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
    """Size and SHA-256 of every file under a folder, by its path there. `without`: paths that are left out."""
    paths = sorted(Path(place, name) for place, _, files in os.walk(folder) for name in files)
    named = {path.relative_to(folder).as_posix(): path for path in paths}
    for name in without:
        named.pop(name, None)
    hashes = _sha256_of(list(named.values()))
    return {
        name: {"bytes": path.stat().st_size, "sha256": digest}
        for (name, path), digest in zip(named.items(), hashes, strict=True)
    }


def _sha256_of(paths: list[Path]) -> list[str]:
    if len(paths) < 2 or sum(path.stat().st_size for path in paths) < LARGE:
        return [sha256(path) for path in paths]
    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(sha256, paths))


def damage(
    folder: Path, sums: Mapping[str, Any], names: Iterable[str] | None = None, *, hashed: bool = True
) -> tuple[Path, str] | None:
    """The first file under `folder` that differs from its checksum, and how; None if all agree.

    `names`: the files to check; None: all. Sizes are compared first; without `hashed` they are all that is compared.
    """
    checked = sorted(sums if names is None else names)
    for name in checked:
        path = folder / name
        if not path.is_file():
            return path, "is missing"
        size = path.stat().st_size
        if size != sums[name]["bytes"]:
            return path, f"has {size:,} bytes instead of {sums[name]['bytes']:,}"
    if not hashed:
        return None
    found = _sha256_of([folder / name for name in checked])
    for name, digest in zip(checked, found, strict=True):
        if digest != sums[name]["sha256"]:
            return folder / name, "differs from its checksum"
    return None


def signed(value: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON object with the checksum of its entries."""
    return {**value, CHECKSUM: _checksum(value)}


def is_signed(value: Mapping[str, Any]) -> bool:
    """Whether a JSON object has the checksum of its other entries."""
    return value.get(CHECKSUM) == _checksum({key: part for key, part in value.items() if key != CHECKSUM})


def _checksum(value: Mapping[str, Any]) -> str:
    plain = json.loads(json.dumps(value))  # keys become text, tuples become lists
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
