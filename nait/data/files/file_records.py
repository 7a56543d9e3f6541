"""Streaming record reader for one file, chosen by its suffix.

A record that is not a valid row is yielded as a `RowError`; the caller decides whether it ends the run. Faults of
the whole file are raised.
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
from nait.data.files.json_stream import ArrayError, array_items, mark_repeated_keys, values
from nait.data.files.named_files import bare_name
from nait.data.files.signatures import check_content
from nait.data.files.tabular import arrow_records, csv_records, parquet_records
from nait.data.row_errors import Place, Row, RowError, kind

# An unparsed JSON line, a row, or the fault of the row.
Record = bytes | Row | RowError
Numbered = Iterator[tuple[int, Record]]

LINE, ROW = "line {}", "row {} (counted from 0)"
OBJECT_SIZE_FACTOR = 16
"""Size limit of an object that holds all rows, as a multiple of the row limit: it is loaded whole."""
_BOM = b"\xef\xbb\xbf"
_HEAD_BYTES = 4096
_UNSUPPORTED = {
    **dict.fromkeys(
        (".zip", ".tar", ".tgz", ".7z", ".rar", ".lz4", ".z", ".br", ".lzma"), "Unpack it first."
    ),
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "Save the sheet as CSV (UTF-8)."),
    **dict.fromkeys(
        (".pkl", ".pickle", ".pt", ".joblib"), "Pickle files are not read: write it as JSONL or Parquet."
    ),
    **dict.fromkeys((".sqlite", ".sqlite3", ".db", ".duckdb"), "Export the table as CSV or Parquet."),
    **dict.fromkeys(
        ("", ".txt", ".text", ".log"),
        "Rename it by its content: NAME.jsonl for one JSON object per line, NAME.csv for a table. "
        "Write questions and answers (lines with Q: and A:) one object per line into NAME.jsonl: "
        '{"question": "...", "answer": "..."}, or {"text": "Q: ...\\nA: ..."}.',
    ),
    **dict.fromkeys((".md", ".html", ".htm"), "It is a document: give the path of the data."),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".xml"), "Convert it to an array of objects in NAME.json."),
}
"""Advice for unsupported suffixes."""


def records(path: Path, decoding: Decoding) -> Iterator[tuple[Place, Record]]:
    """Records of the file with their places; row numbers count from 0. Raises: DataError, ConfigError."""
    form, read = _reader(path, decoding)
    for row, (number, record) in enumerate(read):
        yield Place(row, str(path), form, number), record


def check_kind(path: Path) -> str:
    """Suffix of the file type, without that of a compression. Raises: ConfigError when it is unknown."""
    suffix = bare_name(path)[1]
    if suffix not in READERS:
        other = _UNSUPPORTED.get(suffix, "Write it as JSONL or Parquet.")
        shown = path.suffix if suffix == path.suffix.lower() else f"{suffix}{path.suffix}"
        raise ConfigError(
            f"the suffix '{shown}' is not supported" if shown else "the file name has no suffix",
            where=str(path),
            fix=f"{other} Supported: {', '.join(READERS)}, each optionally followed by {' or '.join(COMPRESSIONS)}.",
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
                f"applies to {', '.join(kinds)} files, not to {path}",
                where=f"{decoding.group}.{key}",
                fix="Leave it null.",
            )
    return READERS[suffix](path, decoding)


def parse_record(record: Record) -> Row:
    """Row of a record. NaN and Infinity are accepted, as in Python's json. Raises: RowError."""
    if isinstance(record, RowError):
        raise record
    if isinstance(record, dict):
        return record
    try:
        value = json.loads(record.decode(), object_pairs_hook=mark_repeated_keys)
    except UnicodeDecodeError as error:
        raise RowError(
            "is not UTF-8",
            fix=f"Correct byte {error.start + 1} of the line, or set data.encoding=cp1252 or another encoding",
        ) from None
    except json.JSONDecodeError as error:
        fix = f"Correct the line at character {error.pos + 1} ({error.msg})"
        if record.rstrip().endswith(b"},"):
            fix = "Remove the comma after the object"
        elif record.lstrip().startswith(b"{'"):
            fix = "It is a Python dict literal: write it with json.dumps"
        elif record.lstrip()[:1] not in b'{["':
            fix += ". JSONL has one object per line, {...}; save a table as .csv"
        raise RowError("is not JSON", fix=fix) from None
    except (ValueError, RecursionError) as error:
        raise RowError("cannot be parsed as JSON", fix=f"Correct the line ({str(error)[:200]})") from None
    if not isinstance(value, dict):
        raise _not_an_object(value)
    return value


def _not_an_object(value: object) -> RowError:
    fix = "Write each row as {column: value}, a conversation as {messages: [...]}"
    if isinstance(value, list):
        fix += ", such as with jq -c '{messages: .}' for lines or jq -c '.[] | {messages: .}' for an array"
    return RowError(f"is {kind(value)}, not an object", fix=f"{fix}; save an array of rows as .json")


def _json_lines(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    """Non-blank lines with their 1-based numbers; falls back to JSON for an array or indented objects."""
    head = _head(path, decoding)
    if _starts_with_list(head):
        return LINE, _lines(path, decoding)
    if decoding.field or head.startswith("[") or head.split("\n", 1)[0].strip() == "{":
        return _json(path, decoding)
    return LINE, _lines(path, decoding)


def _starts_with_list(head: str) -> bool:
    """Whether the first line is a complete JSON list and another list follows."""
    first, _, rest = head.partition("\n")
    try:
        return rest.lstrip().startswith("[") and isinstance(json.loads(first), list)
    except (ValueError, RecursionError):
        return False


def _lines(path: Path, decoding: Decoding) -> Numbered:
    for number, line in byte_lines(path, decoding):
        if line is None:
            fix = f"Write one row per line, or set data.max_row_mb={2 * decoding.max_row_mb} or more"
            yield number, RowError(f"holds more than {decoding.max_row_mb} MB", fix=fix)
            continue
        text = line.removeprefix(_BOM) if number == 1 else line
        if text.strip():
            yield number, text


def _json(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    """Rows of an array, of consecutive objects or of one object; falls back to JSON lines."""
    head = _head(path, decoding)
    if decoding.field and not head.startswith("{"):
        raise _field_needs_one_object(path, decoding)
    if not decoding.field and head.startswith("{") and _holds_json_lines(path, decoding):
        return LINE, _lines(path, decoding)
    return ROW, _items(path, decoding, whole=head.startswith("{"))


def _head(path: Path, decoding: Decoding) -> str:
    """First characters of the text, without leading blanks; invalid bytes are replaced."""
    with open_bytes(path) as stream:
        raw = stream.read(_HEAD_BYTES)
    encoding = encoding_of(path, decoding)
    return raw.decode(encoding, "replace").removeprefix("\ufeff").lstrip()


def _holds_json_lines(path: Path, decoding: Decoding) -> bool:
    """Whether the first line is a complete object and others follow, as in many published .json files."""
    lines = list(islice(_lines(path, decoding), 2))
    try:
        return len(lines) == 2 and bool(parse_record(lines[0][1]))
    except RowError:
        return False


def _items(path: Path, decoding: Decoding, *, whole: bool) -> Numbered:
    """Rows of an array, or with `whole` of one or more objects."""
    with open_text(path, decoding) as text:
        try:
            found = _objects(text, path, decoding) if whole else array_items(text, max_size=decoding.max_size)
            for number, item in enumerate(found):
                yield number, item if isinstance(item, (dict, RowError)) else _not_an_object(item)
        except ArrayError as error:
            raise _not_rows(path, error, decoding) from None


def _objects(text: TextIO, path: Path, decoding: Decoding) -> Iterator[Any]:
    """Consecutive objects; a single object is expanded to the rows in it."""
    found = values(text, max_size=OBJECT_SIZE_FACTOR * decoding.max_size)
    first = list(islice(found, 2))
    if len(first) == 1 and isinstance(first[0], dict):
        yield from rows_of(first[0], field=decoding.field, where=str(path), group=decoding.group)
        return
    if decoding.field:
        raise _field_needs_one_object(path, decoding)
    yield from first
    yield from found


def _field_needs_one_object(path: Path, decoding: Decoding) -> ConfigError:
    fix = f"Leave {decoding.group}.field null for {path}."
    return ConfigError(
        "applies only to a JSON file that is one object", where=f"{decoding.group}.field", fix=fix
    )


def _not_rows(path: Path, error: ArrayError, decoding: Decoding) -> DataError:
    where = f"{path} line {error.line}"
    if error.large:
        return too_long(where, decoding)
    fix = (
        "A .json file is one array of rows, [{...}, {...}], or an object that contains one. "
        "Use .jsonl for a file with one row per line."
    )
    return DataError(str(error), where=where, fix=fix)


def _csv(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return LINE, csv_records(path, decoding)


def _parquet(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return ROW, parquet_records(path, decoding)


def _arrow(path: Path, decoding: Decoding) -> tuple[str, Numbered]:
    return ROW, arrow_records(path, decoding)


READERS: Mapping[str, Callable[[Path, Decoding], tuple[str, Numbered]]] = {
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
"""Suffix -> its reader. `KINDS` in `named_files` lists the same suffixes."""
_JSON, _CELLS = (".jsonl", ".ndjson", ".json"), (".csv", ".tsv")
_TEXTS = _JSON + _CELLS
