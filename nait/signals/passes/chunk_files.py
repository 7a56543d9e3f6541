"""Chunk files: arrays under their indices, the name of the rows that they belong to, and a hash of each array.

A file is read only if it is whole and belongs to the expected rows of the expected plan. After a power cut a folder
may hold a file of an earlier plan, whose removal did not reach the disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.errors import first_line
from nait.signals.runtime.host_transfer import Values
from nait.store import whole_file

ABOUT = "about"


class DamagedChunk(Exception):  # noqa: N818  # an answer, not an error: the rows are measured again
    """A file that is damaged or belongs to other rows; the message says which."""


def write_arrays(path: Path, arrays: Sequence[Values], *, of: str) -> None:
    """Write the arrays of the rows `of`, atomically and to the disk."""
    about = json.dumps({"of": of, "sha256": [_hash(array) for array in arrays]}).encode()
    named = {str(i): array for i, array in enumerate(arrays)}
    with whole_file(path) as part, part.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **{ABOUT: np.frombuffer(about, np.uint8)}, **named)


def read_arrays(path: Path, *, of: str) -> list[Values]:
    """The arrays of the rows `of`. Raises: DamagedChunk."""
    with _opened(path, of) as (arrays, hashes):
        return [_checked(arrays[str(i)], one) for i, one in enumerate(hashes)]


def read_array(path: Path, i: int, *, of: str) -> Values:
    """The array with index `i` of the rows `of`. Raises: DamagedChunk."""
    with _opened(path, of) as (arrays, hashes):
        return _checked(arrays[str(i)], hashes[i])


@contextmanager
def _opened(path: Path, of: str) -> Iterator[tuple[Mapping[str, Values], Sequence[str]]]:
    """The open file and the hashes of its arrays. Raises: DamagedChunk, also for errors within the block."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            about: Any = json.loads(arrays[ABOUT].tobytes())
            if about["of"] != of:
                raise DamagedChunk("belongs to other rows")
            yield arrays, about["sha256"]
    except (DamagedChunk, MemoryError):
        raise
    except Exception as error:  # zipfile and numpy raise many kinds for damaged bytes
        raise DamagedChunk(f"cannot be read ({first_line(error)})") from error


def _checked(array: Values, digest: str) -> Values:
    if _hash(array) != digest:
        raise DamagedChunk("differs from its checksum")
    return array


def _hash(array: Values) -> str:
    """The SHA-256 of an array's dtype, shape and bytes."""
    found = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()
