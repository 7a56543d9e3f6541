"""Streaming access to the bytes, text and lines of plain or compressed files, with bounded memory."""

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
_ENCODING_MARKS = {
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
"""First bytes of files that are not plain UTF-8: a byte order mark, or JSON in 16-bit characters."""
_UTF8 = ("utf-8", "utf-8-sig")


@dataclass(frozen=True)
class Decoding:
    """Options for decoding files to records.

    `encoding`: None detects a byte order mark and defaults to UTF-8. `separator`: of CSV; None detects it in the
    header. `field`: path of the rows in a JSON object. `max_row_mb`: largest row that is read, in MB of text.
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
                fix = "Use utf-8, cp1252, latin-1, utf-16, gb18030, shift_jis or another Python codec."
                raise ConfigError(
                    f"Unknown encoding '{self.encoding}'", where=f"{self.group}.encoding", fix=fix
                ) from None
        if self.separator is not None and (not isinstance(self.separator, str) or len(self.separator) != 1):
            fix = "Give one character, such as ';', or null to detect it in the header."
            raise ConfigError(
                f"'{self.separator}' is not a separator", where=f"{self.group}.separator", fix=fix
            )
        if not isinstance(self.max_row_mb, int) or self.max_row_mb < 1:
            raise ConfigError(
                f"'{self.max_row_mb}' is not a size in MB",
                where=f"{self.group}.max_row_mb",
                fix="Give a whole number; the default is 64.",
            )

    @property
    def max_size(self) -> int:
        """Size limit of a row, in bytes or characters."""
        return self.max_row_mb * MEGABYTE

    def not_decoded(self, path: Path, encoding: str) -> DataError:
        """Error for bytes that are not valid in this encoding."""
        name = "UTF-8" if encoding in _UTF8 else encoding
        fix = (
            f"Set {self.group}.encoding, for example to cp1252 (Excel) or latin-1, or save the file as UTF-8."
        )
        return DataError(f"is not {name}", where=str(path), fix=fix)


@contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Binary stream of the decompressed file. Raises: DataError when it cannot be read completely."""
    try:
        with _uncompressed(path, compression(path)) as stream:
            yield stream
    except FileNotFoundError:
        raise missing(path) from None
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(
            f"cannot be read ({error})", where=str(path), fix="Check its permissions, or download it again."
        ) from error


def compression(path: Path) -> str | None:
    """Compression of a file, by its first bytes, else by its suffix; None for a plain file."""
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

        # Not the zstandard package, which reports no error for a truncated file.
        with io.BufferedReader(pa.input_stream(str(path), compression=compression)) as stream:
            yield cast(BinaryIO, stream)


@contextmanager
def open_arrow(path: Path) -> Iterator[Any]:
    """Arrow file handle on the decompressed bytes; a compressed file is unpacked to a temporary file.

    Arrow's read-ahead threads may outlive a Python file object, so Arrow opens the file itself.
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
    """Encoding set by the user, else detected from the first bytes of the file."""
    if decoding.encoding:
        return decoding.encoding
    with open_bytes(path) as stream:
        head = stream.read(4)
    return next((name for mark, name in _ENCODING_MARKS.items() if head.startswith(mark)), "utf-8")


@contextmanager
def open_text(path: Path, decoding: Decoding) -> Iterator[TextIO]:
    """Text stream of the file, line ends unchanged. Raises: DataError for bytes that are not valid text."""
    encoding = encoding_of(path, decoding)
    with open_bytes(path) as stream:
        try:
            name = "utf-8-sig" if encoding in _UTF8 else encoding
            yield io.TextIOWrapper(stream, encoding=name, newline="")
        except UnicodeError as error:
            raise decoding.not_decoded(path, encoding) from error
        except (LookupError, TypeError) as error:  # a codec that is not a text encoding, such as "hex"
            raise ConfigError(
                f"'{encoding}' is not a text encoding",
                where=f"{decoding.group}.encoding",
                fix="Use utf-8, cp1252, latin-1 or another text encoding.",
            ) from error


def text_lines(text: TextIO, path: Path, decoding: Decoding) -> Iterator[str]:
    """Lines, line ends included. Raises: DataError for a line larger than the row limit."""
    number = 0
    while line := text.readline(decoding.max_size + 1):
        number += 1
        if len(line) > decoding.max_size:
            raise too_long(f"{path} line {number}", decoding)
        yield line


def byte_lines(path: Path, decoding: Decoding) -> Iterator[tuple[int, bytes | None]]:
    """Non-blank lines in UTF-8 with their 1-based numbers; None for a line larger than the row limit."""
    encoding = encoding_of(path, decoding)
    if encoding in _UTF8:
        with open_bytes(path) as stream:
            yield from _split_lines(iter(lambda: stream.read(MEGABYTE), b""), decoding.max_size)
        return
    with open_text(path, decoding) as text:
        chunks = (chunk.encode("utf-8", "surrogatepass") for chunk in iter(lambda: text.read(MEGABYTE), ""))
        yield from _split_lines(chunks, decoding.max_size)


def _split_lines(chunks: Iterator[bytes], max_size: int) -> Iterator[tuple[int, bytes | None]]:
    """Numbered non-blank lines of chunks; of an oversized line only the size is kept, and None is yielded."""
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
            line = b"".join([*held, piece]) if size <= max_size else None
            held, size = [], 0
            if line is None or line.strip():
                yield number, line
            number += 1
        size += len(rest)
        held = [*held, rest] if rest and size <= max_size else held if size <= max_size else []
    if size > max_size:
        yield number, None
    elif (line := b"".join(held)).strip():
        yield number, line


def too_long(where: str, decoding: Decoding) -> DataError:
    """Error for a row larger than the limit."""
    return DataError(
        f"holds more than {decoding.max_row_mb} MB",
        where=where,
        fix=f"Write one row per line, or raise {decoding.group}.max_row_mb.",
    )
