"""Records of one file, streamed: a line, an item or a row at a time, by the kind its suffix names.

A record that cannot be a row is passed on as the `RowError` that says why: whether that ends the run is not
the file's to decide. What makes the whole file unreadable is raised.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from nait.core.errors import ConfigError, DataError
from nait.data.arrays import ArrayError, array_items, values
from nait.data.files import bare_name
from nait.data.objects import rows_of
from nait.data.rows import Place, Row, RowError, kind
from nait.data.streams import (
    COMPRESSIONS,
    Decoding,
    byte_lines,
    encoding_of,
    open_bytes,
    open_text,
    too_long,
)
from nait.data.tables import arrow_records, csv_records, parquet_records

# A line of JSON not yet read, a row, or what is wrong with the row that is there.
Record = bytes | Row | RowError
Numbered = Iterator[tuple[int, Record]]

LINE, ROW = "line {}", "row {} (counted from 0)"
OBJECT_ROWS = 16
"""An object that holds all rows is held whole: it may be so many times as large as the largest row."""
_BOM = b"\xef\xbb\xbf"
_LOOK = 4096
_OTHERS = {
    ".zip": "Unpack it first.",
    ".tar": "Unpack it first.",
    ".tgz": "Unpack it first.",
    ".7z": "Unpack it first.",
    ".xlsx": "Save the sheet as CSV (UTF-8).",
    ".xls": "Save the sheet as CSV (UTF-8).",
    ".pkl": "Nothing is unpickled: write it as JSONL or Parquet.",
    ".pickle": "Nothing is unpickled: write it as JSONL or Parquet.",
    ".pt": "Nothing is unpickled: write it as JSONL or Parquet.",
}


def records(path: Path, decoding: Decoding) -> Iterator[tuple[Place, Record]]:
    """The file's records with their places, whose row numbers count from 0. Raises: DataError, ConfigError."""
    form, read = _reader(path, decoding)
    for row, (number, record) in enumerate(read):
        yield Place(row, str(path), form, number), record


def check_kind(path: Path) -> str:
    """The suffix that names the file's kind, below that of a compression. Raises: ConfigError when it is unknown."""
    suffix = bare_name(path)[1]
    if suffix not in _KINDS:
        other = _OTHERS.get(suffix, "")
        raise ConfigError(
            f"the suffix '{path.suffix}' is not known",
            where=str(path),
            mend=f"{other}{' ' if other else ''}Known: {', '.join(_KINDS)}, "
            f"each also with {' or '.join(COMPRESSIONS)} behind it.",
        )
    return suffix


def _reader(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    suffix = check_kind(path)
    for key, value, kinds in (
        ("encoding", decoding.encoding, _TEXTS),
        ("separator", decoding.separator, _CELLS),
        ("field", decoding.field, _JSON),
    ):
        if value is not None and suffix not in kinds:
            raise ConfigError(
                f"is for {', '.join(kinds)} files, not for {path}",
                where=f"{decoding.group}.{key}",
                mend="Leave it null.",
            )
    return _KINDS[suffix](path, decoding)


def parsed(record: Record) -> Row:
    """The row that a record holds. NaN and Infinity are read, as Python's json does. Raises: RowError."""
    if isinstance(record, RowError):
        raise record
    if isinstance(record, dict):
        return record
    try:
        value = json.loads(record.decode())
    except UnicodeDecodeError as error:
        raise RowError(
            "is not UTF-8",
            mend=f"Correct byte {error.start + 1} of the line, or set data.encoding=cp1252 or the like",
        ) from None
    except json.JSONDecodeError as error:
        mend = f"Correct the line at character {error.pos + 1} ({error.msg})"
        if record.rstrip().endswith(b"},"):
            mend = "Leave out the comma behind the object"
        raise RowError("is not JSON", mend=mend) from None
    except (ValueError, RecursionError) as error:
        raise RowError(
            "is not JSON that can be read", mend=f"Correct the line ({str(error)[:200]})"
        ) from None
    if not isinstance(value, dict):
        raise _no_object(value)
    return value


def _no_object(value: object) -> RowError:
    return RowError(
        f"is {kind(value)}, not an object",
        mend="Write each row as {column: value}; an array of rows belongs in a .json file",
    )


def _json_lines(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    """Each line that is not blank, with its 1-based number. An array or indented objects are read as such."""
    head = _head(path, decoding)
    if decoding.field or head.startswith("[") or head.split("\n", 1)[0].strip() == "{":
        return _json(path, decoding)
    return LINE, _lines(path, decoding)


def _lines(path: Path, decoding: Decoding) -> Numbered:
    for number, line in byte_lines(path, decoding):
        if line is None:
            mend = f"Write one row a line, or set data.max_row_mb={2 * decoding.max_row_mb} or more"
            yield number, RowError(f"holds more than {decoding.max_row_mb} MB", mend=mend)
            continue
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield number, text


def _json(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    """The items of an array, objects one after the other, or the rows in one object; lines under the wrong suffix."""
    head = _head(path, decoding)
    if decoding.field and not head.startswith("{"):
        mend = f"Leave {decoding.group}.field null for {path}."
        raise ConfigError("is for a JSON file that is one object", where=f"{decoding.group}.field", mend=mend)
    if not decoding.field and head.startswith("{") and _holds_lines(path, decoding):
        return LINE, _lines(path, decoding)
    return ROW, _items(path, decoding, whole=head.startswith("{"))


def _head(path: Path, decoding: Decoding) -> str:
    """How the text begins, without blanks; "" for what is not text: its lines will say so."""
    with open_bytes(path) as stream:
        raw = stream.read(_LOOK)
    encoding = encoding_of(path, decoding)
    return raw.decode(encoding, "replace").removeprefix("\ufeff").lstrip()


def _holds_lines(path: Path, decoding: Decoding) -> bool:
    """Whether the first line is an object by itself and others follow: many a published .json is so."""
    lines = list(islice(_lines(path, decoding), 2))
    try:
        return len(lines) == 2 and bool(parsed(lines[0][1]))
    except RowError:
        return False


def _items(path: Path, decoding: Decoding, *, whole: bool) -> Numbered:
    """The rows of an array; with `whole` those of one or more objects."""
    with open_text(path, decoding) as text:
        try:
            found = _objects(text, path, decoding) if whole else array_items(text, most=decoding.most)
            for number, item in enumerate(found):
                yield number, item if isinstance(item, dict) else _no_object(item)
        except ArrayError as error:
            raise _not_rows(path, error, decoding) from None


def _objects(text: TextIO, path: Path, decoding: Decoding) -> Iterator[Any]:
    """Objects that follow each other; of one that is alone the rows that it holds."""
    found = values(text, most=OBJECT_ROWS * decoding.most)
    first = list(islice(found, 2))
    if len(first) == 1 and isinstance(first[0], dict):
        yield from rows_of(first[0], field=decoding.field, where=str(path), group=decoding.group)
        return
    yield from first
    yield from found


def _not_rows(path: Path, error: ArrayError, decoding: Decoding) -> DataError:
    where = f"{path} line {error.line}"
    if error.large:
        return too_long(where, decoding)
    mend = (
        "A .json file is one array of rows, [{...}, {...}], or an object that holds one. "
        "A file with one row a line is called .jsonl."
    )
    return DataError(str(error), where=where, mend=mend)


def _csv(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return LINE, csv_records(path, decoding)


def _parquet(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return ROW, parquet_records(path, decoding)


def _arrow(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return ROW, arrow_records(path, decoding)


_KINDS: Mapping[str, Callable[[Path, Decoding], tuple[str, Numbered]]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
    ".csv": _csv,
    ".tsv": _csv,
    ".arrow": _arrow,
}
_JSON, _CELLS = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv")
_TEXTS = _JSON + _CELLS
