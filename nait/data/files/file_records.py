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
from nait.data.files.file_io import (
    COMPRESSIONS,
    Decoding,
    byte_lines,
    encoding_of,
    open_bytes,
    open_text,
    too_long,
)
from nait.data.files.json_objects import rows_of
from nait.data.files.json_stream import ArrayError, array_items, once, values
from nait.data.files.named_files import bare_name
from nait.data.files.signatures import check_content
from nait.data.files.tabular import arrow_records, csv_records, parquet_records
from nait.data.row_errors import Place, Row, RowError, kind

# A line of JSON not yet read, a row, or what is wrong with the row that is there.
Record = bytes | Row | RowError
Numbered = Iterator[tuple[int, Record]]

LINE, ROW = "line {}", "row {} (counted from 0)"
OBJECT_ROWS = 16
"""An object that holds all rows is held whole: it may be so many times as large as the largest row."""
_BOM = b"\xef\xbb\xbf"
_LOOK = 4096
_OTHERS = {
    **dict.fromkeys(
        (".zip", ".tar", ".tgz", ".7z", ".rar", ".lz4", ".z", ".br", ".lzma"), "Unpack it first."
    ),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV (UTF-8)."),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pt", ".joblib"), "Nothing is unpickled: write it as JSONL or Parquet."
    ),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb"), "Export the table as CSV or Parquet."),
    **dict.fromkeys(
        ("", ".txt", ".text", ".log"),
        "Name it by what it holds, such as NAME.jsonl for one JSON object a line.",
    ),
    **dict.fromkeys((".md", ".html", ".htm"), "It is a page: give the path of the data."),
}
"""The way out for suffixes that are not read; of all others: write it anew."""


def records(path: Path, decoding: Decoding) -> Iterator[tuple[Place, Record]]:
    """The file's records with their places, whose row numbers count from 0. Raises: DataError, ConfigError."""
    form, read = _reader(path, decoding)
    for row, (number, record) in enumerate(read):
        yield Place(row, str(path), form, number), record


def check_kind(path: Path) -> str:
    """The suffix that names the file's kind, below that of a compression. Raises: ConfigError when it is unknown."""
    suffix = bare_name(path)[1]
    if suffix not in _KINDS:
        other = _OTHERS.get(suffix, "Write it as JSONL or Parquet.")
        shown = path.suffix if suffix == path.suffix.lower() else f"{suffix}{path.suffix}"
        raise ConfigError(
            f"the suffix '{shown}' is not known" if shown else "its name has no suffix",
            where=str(path),
            mend=f"{other} Known: {', '.join(_KINDS)}, each also with {' or '.join(COMPRESSIONS)} behind it.",
        )
    return suffix


def _reader(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    suffix = check_kind(path)
    check_content(path, suffix)
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
        value = json.loads(record.decode(), object_pairs_hook=once)
    except UnicodeDecodeError as error:
        raise RowError(
            "is not UTF-8",
            mend=f"Correct byte {error.start + 1} of the line, or set data.encoding=cp1252 or the like",
        ) from None
    except json.JSONDecodeError as error:
        mend = f"Correct the line at character {error.pos + 1} ({error.msg})"
        if record.rstrip().endswith(b"},"):
            mend = "Leave out the comma behind the object"
        elif record.lstrip().startswith(b"{'"):
            mend = "It is written as Python writes a dict: write it by json.dumps"
        elif record.lstrip()[:1] not in b'{["':
            mend += ". A row is one object a line, {...}; a table belongs in a .csv file"
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
        mend="Write each row as {column: value}, a conversation as {messages: [...]}; "
        "an array of rows belongs in a .json file",
    )


def _json_lines(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    """Each line that is not blank, with its 1-based number. An array or indented objects are read as such."""
    head = _head(path, decoding)
    if _lists(head):
        return LINE, _lines(path, decoding)
    if decoding.field or head.startswith("[") or head.split("\n", 1)[0].strip() == "{":
        return _json(path, decoding)
    return LINE, _lines(path, decoding)


def _lists(head: str) -> bool:
    """Whether a text begins with a line that is a list by itself, and another one follows."""
    first, _, rest = head.partition("\n")
    try:
        return rest.lstrip().startswith("[") and isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return False


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
        raise _one_object(path, decoding)
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
    if decoding.field:
        raise _one_object(path, decoding)
    yield from first
    yield from found


def _one_object(path: Path, decoding: Decoding) -> ConfigError:
    mend = f"Leave {decoding.group}.field null for {path}."
    return ConfigError("is for a JSON file that is one object", where=f"{decoding.group}.field", mend=mend)


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
    ".feather": _arrow,
    ".ipc": _arrow,
}
_JSON, _CELLS = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv")
_TEXTS = _JSON + _CELLS
