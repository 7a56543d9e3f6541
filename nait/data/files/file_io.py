"""Bytes and texts of a file, plain or compressed, in any encoding, with a bound on what is held at a time."""

from __future__ import annotations

import bz2
import codecs
import io
import lzma
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from nait.core.errors import ConfigError, DataError
from nait.data.files.named_files import missing

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}
MEGABYTE = 1 << 20
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz"}
_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\x00\x00": "utf-32",
    b"\x00\x00\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
    b"{\x00": "utf-16-le",
    b"[\x00": "utf-16-le",
    b"\x00{": "utf-16-be",
    b"\x00[": "utf-16-be",
}
"""How a file that is not UTF-8 begins: by a byte order mark, or by JSON in 16-bit characters."""
_UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True)
class Decoding:
    """How bytes become records.

    `encoding`: None is UTF-8, or what a byte order mark says. `separator`: of CSV; None finds it in the header.
    `field`: where in a JSON object the rows are. `max_row_mb`: the largest row, in MB of text, that is held.
    """

    encoding: str | None = None
    separator: str | None = None
    field: str | None = None
    max_row_mb: int = 64
    group: str = "data"

    def __post_init__(self) -> None:
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except (LookupError, TypeError, ValueError):
                mend = "Use utf-8, cp1252, latin-1, utf-16, gb18030, shift_jis or another name that Python knows."
                raise ConfigError(
                    f"Unknown encoding '{self.encoding}'", where=f"{self.group}.encoding", mend=mend
                ) from None
        if self.separator is not None and (not isinstance(self.separator, str) or len(self.separator) != 1):
            mend = "Give one character, such as ';', or null: it is found in the header."
            raise ConfigError(
                f"'{self.separator}' is not a separator", where=f"{self.group}.separator", mend=mend
            )
        if not isinstance(self.max_row_mb, int) or self.max_row_mb < 1:
            raise ConfigError(
                f"'{self.max_row_mb}' is not a size", where=f"{self.group}.max_row_mb", mend="64 is usual."
            )

    @property
    def most(self) -> int:
        """Bytes, or characters, of the largest row."""
        return self.max_row_mb * MEGABYTE

    def not_decoded(self, path: Path, encoding: str) -> DataError:
        """The error for bytes that are not text in this encoding."""
        name = "UTF-8" if encoding in _UTF8 else encoding
        mend = f"Set {self.group}.encoding, such as cp1252 (Excel) or latin-1, or save it as UTF-8."
        return DataError(f"is not {name}", where=str(path), mend=mend)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """A stream of the file's bytes, uncompressed. Raises: DataError when it cannot be read to its end."""
    try:
        with _uncompressed(path, compression(path)) as stream:
            yield stream
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(
            f"cannot be read ({error})", where=str(path), mend="Check its rights, or fetch it again."
        ) from error


def compression(path: Path) -> str | None:
    """How a file is compressed: what the file's first bytes say, whatever its name; else what its name says."""
    with path.open("rb") as plain:
        head = plain.read(6)
    seen = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
    return seen or COMPRESSIONS.get(path.suffix.lower())


@contextmanager
def _uncompressed(path: Path, compression: str | None) -> Iterator[BinaryIO]:
    if compression is None:
        with path.open("rb") as plain:
            yield plain
    elif compression in ("bz2", "xz"):
        with (bz2.open if compression == "bz2" else lzma.open)(path, "rb") as packed:
            yield cast(BinaryIO, packed)
    else:
        import pyarrow as pa

        # Not the package zstandard: it takes a file that was cut off for one that ends there.
        with io.BufferedReader(pa.input_stream(str(path), compression=compression)) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def open_arrow(path: Path) -> Iterator[Any]:
    """The same bytes in a file of Arrow's own; a compressed file goes through a temporary one on disk.

    Arrow reads ahead in threads of its own: a file object of Python's could be gone before they end.
    """
    import pyarrow as pa

    with open_bytes(path) as stream:
        if compression(path) is None:
            with pa.OSFile(str(path)) as plain:
                yield plain
            return
        with tempfile.NamedTemporaryFile() as whole:
            shutil.copyfileobj(stream, whole)
            whole.flush()
            with pa.OSFile(whole.name) as unpacked:
                yield unpacked


def encoding_of(path: Path, decoding: Decoding) -> str:
    """The user's encoding, else what the file's first bytes say."""
    if decoding.encoding:
        return decoding.encoding
    with open_bytes(path) as stream:
        head = stream.read(4)
    return next((name for mark, name in _MARKS.items() if head.startswith(mark)), "utf-8")


@contextmanager
def open_text(path: Path, decoding: Decoding) -> Iterator[TextIO]:
    """The file's text, line ends as they are. Raises: DataError for bytes that are not text."""
    encoding = encoding_of(path, decoding)
    with open_bytes(path) as stream:
        try:
            name = "utf-8-sig" if encoding in _UTF8 else encoding
            yield io.TextIOWrapper(stream, encoding=name, newline="")
        except UnicodeError as error:
            raise decoding.not_decoded(path, encoding) from error
        except (LookupError, TypeError) as error:  # a codec of another kind, such as "hex"
            raise ConfigError(
                f"'{encoding}' is not an encoding of text",
                where=f"{decoding.group}.encoding",
                mend="utf-8 is usual.",
            ) from error


def text_lines(text: TextIO, path: Path, decoding: Decoding) -> Iterator[str]:
    """The lines, line ends included. Raises: DataError for one beyond the largest row."""
    number = 0
    while line := text.readline(decoding.most + 1):
        number += 1
        if len(line) > decoding.most:
            raise too_long(f"{path} line {number}", decoding)
        yield line


def byte_lines(path: Path, decoding: Decoding) -> Iterator[tuple[int, bytes | None]]:
    """The lines that are not blank, in UTF-8 and with their 1-based numbers; None for one beyond the largest row."""
    encoding = encoding_of(path, decoding)
    if encoding in _UTF8:
        with open_bytes(path) as stream:
            yield from _split(iter(lambda: stream.read(MEGABYTE), b""), decoding.most)
        return
    with open_text(path, decoding) as text:
        chunks = (chunk.encode("utf-8", "surrogatepass") for chunk in iter(lambda: text.read(MEGABYTE), ""))
        yield from _split(chunks, decoding.most)


def _split(chunks: Iterator[bytes], most: int) -> Iterator[tuple[int, bytes | None]]:
    """Numbered lines of chunks, without blank ones; of a line that is too long only the size is kept."""
    number, held, size = 1, list[bytes](), 0
    for chunk in chunks:
        if not held and not size and not chunk.strip():  # many blank lines at once
            number += chunk.count(b"\n")
            tail = chunk.rpartition(b"\n")[2]
            held, size = ([tail], len(tail)) if tail else ([], 0)
            continue
        *ended, rest = chunk.split(b"\n")
        for piece in ended:
            size += len(piece)
            line = b"".join([*held, piece]) if size <= most else None
            held, size = [], 0
            if line is None or line.strip():
                yield number, line
            number += 1
        size += len(rest)
        held = [*held, rest] if rest and size <= most else held if size <= most else []
    if size > most:
        yield number, None
    elif (line := b"".join(held)).strip():
        yield number, line


def too_long(where: str, decoding: Decoding) -> DataError:
    """The error for a row beyond the bound."""
    return DataError(
        f"holds more than {decoding.max_row_mb} MB",
        where=where,
        mend=f"Write one row a line, or raise {decoding.group}.max_row_mb.",
    )
