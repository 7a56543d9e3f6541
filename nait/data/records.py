"""Records of one file, streamed: a line, an item or a row at a time, by the kind its suffix names.

A record that cannot be a row is passed on as the `RowError` that says why: whether that ends the run is not
the file's to decide. What makes the whole file unreadable is raised.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from nait.core.errors import ConfigError, DataError
from nait.data.arrays import ArrayError, array_items
from nait.data.rows import Row, RowError, kind
from nait.data.streams import COMPRESSIONS, bare_suffix, open_bytes, open_seekable

# A line of JSON not yet read, a row, or what is wrong with the row that stands there.
Record = bytes | Row | RowError
Records = Iterator[tuple[int, Record]]

_BOM = b"\xef\xbb\xbf"
BATCH_ROWS = 1000
_LOOK = 256
_LONGEST_CELL = 2**31 - 1  # csv's own limit, 131,072 characters, is below the longest published answers


class FileKind(NamedTuple):
    """How files of a kind are read, and how the numbers that come with their records are called."""

    read: Callable[[Path], Records]
    numbers: str


def file_kind(path: Path) -> FileKind:
    """The kind that the suffix names, below that of a compression. Raises: ConfigError when it is unknown."""
    suffix = bare_suffix(path)
    if suffix not in _KINDS:
        raise ConfigError(
            f"the suffix '{path.suffix}' is not known",
            where=str(path),
            mend=f"Known: {', '.join(_KINDS)}, each also with {' or '.join(COMPRESSIONS)} behind it.",
        )
    return _KINDS[suffix]


def parsed(record: Record) -> Row:
    """The row that a record holds. NaN and Infinity are read, as Python's json does. Raises: RowError."""
    if isinstance(record, RowError):
        raise record
    if isinstance(record, dict):
        return record
    try:
        value = json.loads(record.decode())
    except UnicodeDecodeError as error:
        raise RowError("is not UTF-8", mend=f"Mend byte {error.start + 1} of the line") from None
    except json.JSONDecodeError as error:
        raise RowError(
            "is not JSON", mend=f"Mend the line at character {error.pos + 1} ({error.msg})"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RowError("is not JSON that can be read", mend=f"Mend the line ({error})") from None
    if not isinstance(value, dict):
        raise _no_object(value)
    return value


def _no_object(value: object) -> RowError:
    return RowError(
        f"is {kind(value)}, not an object",
        mend="Write each row as {column: value}; an array of rows belongs in a .json file",
    )


def _json_lines(path: Path) -> Records:
    """Each line that is not blank, with its 1-based number; a byte order mark is no part of the first."""
    with open_bytes(path) as stream:
        for number, line in enumerate(stream, 1):
            text = line.removeprefix(_BOM) if number == 1 else line
            if text.strip():
                yield number, text


def _json(path: Path) -> Records:
    """Each item of the array, with its 0-based number. JSON lines under the wrong suffix are read as such."""
    if _holds_lines(path):
        yield from enumerate(line for _, line in _json_lines(path))
        return
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:
        try:
            for number, item in enumerate(array_items(text)):
                yield number, item if isinstance(item, dict) else _no_object(item)
        except ArrayError as error:
            raise DataError(
                str(error),
                where=f"{path} line {error.line}",
                mend="A .json file is one array of rows, [{...}, {...}], not an object of columns. "
                "A file with one row a line is called .jsonl.",
            ) from None
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error


def _holds_lines(path: Path) -> bool:
    """Whether the first line is an object by itself and others follow: many a published .json is so."""
    with open_bytes(path) as stream:
        # A look before the first line is read: that may be a whole array.
        if not stream.read(_LOOK).removeprefix(_BOM).lstrip().startswith(b"{"):
            return False
    head = list(islice(_json_lines(path), 2))
    try:
        return len(head) == 2 and bool(parsed(head[0][1]))
    except RowError:
        return False


def _csv(path: Path) -> Records:
    """Each record with the 1-based line on which it begins. Every cell is text, an empty one is ""."""
    csv.field_size_limit(_LONGEST_CELL)
    with open_bytes(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, strict=True)
        try:
            header = _header(next(reader, []), path)
            begins = reader.line_num + 1
            for cells in reader:
                if cells:  # [] is a blank line
                    yield begins, _cells_row(cells, header)
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"is not CSV ({error})",
                where=f"{path} line {reader.line_num}",
                mend='Quote cells that hold commas, quotes or line ends: "so ""quoted"" here".',
            ) from None
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error


def _header(names: list[str], path: Path) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"the column '{twice[0]}' stands there twice",
            where=f"{path} line 1",
            mend="Rename one of the two.",
        )
    return names


def _cells_row(cells: list[str], header: list[str]) -> Record:
    if len(cells) == len(header):
        return dict(zip(header, cells, strict=True))
    return RowError(
        "has more or fewer cells than the header",
        mend=f"Give it {len(header)} cells, not {len(cells)}, and quote those that hold commas",
    )


def _parquet(path: Path) -> Records:
    """Each row with its 0-based number."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_seekable(path) as stream:
        try:
            batches = pq.ParquetFile(stream).iter_batches(batch_size=BATCH_ROWS, use_threads=False)
            yield from enumerate(row for batch in batches for row in batch.to_pylist())
        except pa.ArrowException as error:
            raise DataError(
                f"is not Parquet that can be read ({error})", where=str(path), mend="Write or fetch it again."
            ) from error
        finally:
            pa.default_memory_pool().release_unused()  # else the file's pages stay for the rest of the run


def _not_utf8(path: Path) -> DataError:
    return DataError("is not UTF-8", where=str(path), mend="Save it as UTF-8.")


_KINDS = {
    ".jsonl": FileKind(_json_lines, "line {}"),
    ".ndjson": FileKind(_json_lines, "line {}"),
    ".json": FileKind(_json, "row {} (counted from 0)"),
    ".parquet": FileKind(_parquet, "row {} (counted from 0)"),
    ".csv": FileKind(_csv, "line {}"),
}
