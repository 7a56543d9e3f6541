"""Bytes of a file, plain or compressed, and clear errors for a file that is not there."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from nait.core.errors import DataError, did_you_mean

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_NAMES_SHOWN = 20


def bare_suffix(path: Path) -> str:
    """The suffix that tells the kind of file, below the one of a compression: ".jsonl" of "a.jsonl.gz"."""
    names = [suffix.lower() for suffix in path.suffixes]
    if names and names[-1] in COMPRESSIONS:
        names.pop()
    return names[-1] if names else ""


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """A stream of the file's bytes, uncompressed. Raises: DataError when it cannot be read to its end."""
    compression = COMPRESSIONS.get(path.suffix.lower())
    try:
        if compression is None:
            with path.open("rb") as plain:
                yield plain
            return
        import pyarrow as pa

        # Not the package zstandard: it takes a file that was cut off for one that ends there.
        with io.BufferedReader(pa.input_stream(str(path), compression=compression)) as stream:
            yield cast(BinaryIO, stream)
    except FileNotFoundError:
        raise missing(path) from None
    except OSError as error:
        raise DataError(
            f"cannot be read ({error})", where=str(path), mend="Check its rights, or fetch it again."
        ) from error


@contextmanager
def open_seekable(path: Path) -> Iterator[BinaryIO]:
    """The same bytes in a stream that can seek; a compressed file goes through a temporary one on disk."""
    with open_bytes(path) as stream:
        if path.suffix.lower() not in COMPRESSIONS:
            yield stream
            return
        with tempfile.TemporaryFile() as whole:
            shutil.copyfileobj(stream, whole)
            whole.seek(0)
            yield cast(BinaryIO, whole)


def existing_file(path: str | Path) -> Path:
    """The path of a file that is there, with `~` expanded. Raises: DataError that offers near names."""
    found = Path(path).expanduser()
    if found.is_dir():
        inside = _names(found)
        mend = (
            "Name one of its files: " + ", ".join(inside[:_NAMES_SHOWN]) + "."
            if inside
            else "Give the path of a file."
        )
        raise DataError("is a folder, not a file", where=str(path), mend=mend)
    if not found.exists():
        raise missing(found)
    return found


def missing(path: Path) -> DataError:
    """The error for a file that is not there: it offers the near names of its folder."""
    if not path.parent.is_dir():
        return DataError(
            "there is no such file", where=str(path), mend=f"There is no folder '{path.parent}' either."
        )
    names = _names(path.parent)
    hint = did_you_mean(path.name, names)
    if len(names) > _NAMES_SHOWN and not hint.startswith("Did"):
        hint = f"None of the {len(names):,} files in its folder has a name like it."
    return DataError("there is no such file", where=str(path), mend=hint or "Its folder holds no file.")


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())
