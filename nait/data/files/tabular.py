"""Readers for tables: CSV, TSV, Parquet and Arrow."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from nait.core.errors import DataError
from nait.data.files.file_io import MEGABYTE, Decoding, open_arrow, open_text, text_lines
from nait.data.row_errors import Row, RowError, Unreadable, other_cells, quoted

BATCH_ROWS = 1000
_MAX_CELL = 2**31 - 1  # the csv default, 131,072 characters, is shorter than some published answers
_DAMAGE_ERRORS = (OSError, ValueError, KeyError, NotImplementedError, MemoryError)
"""Errors besides `ArrowException` that pyarrow raises for damaged files; an invalid length causes MemoryError."""
_SEPARATORS = (",", ";", "\t", "|")


def csv_records(path: Path, decoding: Decoding) -> Iterator[tuple[int, Row | RowError]]:
    """Records with the 1-based line on which each begins. Every cell is text; an empty cell is ""."""
    csv.field_size_limit(min(decoding.max_size, _MAX_CELL))
    with open_text(path, decoding) as text:
        lines = text_lines(text, path, decoding)
        separator, lines, skipped = _split_header(lines, path, decoding)
        reader = csv.reader(lines, delimiter=separator, strict=True)
        try:
            header = _unique_names(_filled_names(next(reader, [])), path)
            begins = reader.line_num + 1
            for cells in reader:
                if cells:  # [] is a blank line
                    yield begins + skipped, _cells_row(cells, header)
                begins = reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"is not CSV ({error})",
                where=f"{path} line {reader.line_num + skipped}",
                fix='Quote cells that hold separators, quotes or line ends: "so ""quoted"" here".',
            ) from None


def _split_header(lines: Iterator[str], path: Path, decoding: Decoding) -> tuple[str, Iterator[str], int]:
    """Separator, lines from the header on, and the number of lines before it (blank, or Excel's "sep=;")."""
    first, blank = next(lines, ""), 0
    while first and not first.strip():
        first, blank = next(lines, ""), blank + 1
    mark = first.rstrip("\r\n").strip('"')
    if mark.lower().startswith("sep=") and len(mark) == 5:
        return decoding.separator or mark[4], lines, blank + 1
    if re.fullmatch(r"\s*\|.*\|\s*", first):
        fix = "Save it as CSV: remove the outer | of each line and the line of dashes."
        raise DataError("is a Markdown table", where=f"{path} line {blank + 1}", fix=fix)
    found = decoding.separator or _detect_separator(first, "\t" if ".tsv" in path.suffixes else ",")
    return found, chain([first], lines), blank


def _detect_separator(header: str, usual: str) -> str:
    """The usual separator if the header contains it, else the one that yields the most cells."""
    cells = {one: len(next(csv.reader([header[:MEGABYTE]], delimiter=one), [])) for one in _SEPARATORS}
    return usual if cells[usual] > 1 else max(_SEPARATORS, key=lambda one: (cells[one], one == usual))


def _filled_names(names: list[str]) -> list[str]:
    """Column names; several empty names, as in spreadsheet exports, become "column N"."""
    if names.count("") < 2:
        return names
    return [name or f"column {place}" for place, name in enumerate(names, 1)]


def _unique_names(names: list[str], path: Path) -> list[str]:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(
            f"the column {quoted(twice[0])} occurs twice",
            where=f"{path} line 1",
            fix="Rename one of the two.",
        )
    return names


def _cells_row(cells: list[str], header: list[str]) -> Row | RowError:
    if len(cells) == len(header):
        return dict(zip(header, cells, strict=True))
    return other_cells(len(header), len(cells), fix=", and quote those that hold separators")


def parquet_records(path: Path, decoding: Decoding) -> Iterator[tuple[int, Row | RowError]]:
    """Rows with their 0-based numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_arrow(path) as stream:
        try:
            file = pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True)
            _unique_names(file.schema_arrow.names, path)
            rows = _batch_rows(file.metadata, decoding.max_size)
            batches = file.iter_batches(batch_size=rows, use_threads=False)
            yield from enumerate(row for batch in batches for row in rows_of_batch(batch))
        except (pa.ArrowException, *_DAMAGE_ERRORS) as error:
            raise _unreadable(path, "Parquet", error) from error
        finally:
            pa.default_memory_pool().release_unused()  # otherwise Arrow keeps the memory for the rest of the run


def _batch_rows(metadata: Any, max_size: int) -> int:
    """Rows per batch, so that a batch holds about as much as the row limit."""
    size = max((metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)), default=0)
    rows = max((metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)), default=0)
    return max(1, min(BATCH_ROWS, max_size * max(1, rows) // max(1, size)))


def arrow_records(path: Path, decoding: Decoding) -> Iterator[tuple[int, Row | RowError]]:  # noqa: ARG001
    """Rows of an Arrow file or stream, as `save_to_disk` writes, with their 0-based numbers."""
    import pyarrow as pa

    with open_arrow(path) as stream:
        try:
            is_file = stream.read(6) == b"ARROW1"
            stream.seek(0)
            if is_file:
                whole = pa.ipc.open_file(stream)
                batches = (whole.get_batch(i) for i in range(whole.num_record_batches))
                _unique_names(whole.schema.names, path)
            else:
                batches = iter(pa.ipc.open_stream(stream))
            parts = (
                batch.slice(at, BATCH_ROWS)
                for batch in batches
                for at in range(0, batch.num_rows, BATCH_ROWS)
            )
            yield from enumerate(row for part in parts for row in rows_of_batch(_validated(part)))
        except (pa.ArrowException, *_DAMAGE_ERRORS) as error:
            raise _unreadable(path, "Arrow", error) from error


def _validated(batch: Any) -> Any:
    """The batch, after validation: reading damaged columns would crash the process.

    Text that is not UTF-8 passes. Raises: pa.ArrowException.
    """
    import pyarrow as pa

    for column in batch.columns:
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        raw = pa.large_binary() if pa.types.is_large_string(column.type) else pa.binary()
        column.validate()
        (column.view(raw) if is_text else column).validate(full=True)
    return batch


def _unreadable(path: Path, format: str, error: Exception) -> DataError:
    return DataError(
        f"cannot be read as {format} ({str(error)[:300]})",
        where=str(path),
        fix="Write or download it again.",
    )


def rows_of_batch(batch: Any) -> Sequence[Row]:
    """Rows of an Arrow batch. A value that Python cannot represent becomes `Unreadable`; the others are kept."""
    try:
        return batch.to_pylist()  # type: ignore[no-any-return]
    except Exception:  # noqa: BLE001  # one bad value: text that is not UTF-8, a date out of range, ...
        names = batch.schema.names
        columns = [[_value(one) for one in column] for column in batch.columns]
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _value(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raw = scalar.as_buffer().to_pybytes() if hasattr(scalar, "as_buffer") else b""
        return Unreadable("holds bytes that are not UTF-8", raw.decode("utf-8", "replace"))
    except Exception as error:  # noqa: BLE001  # Arrow and time zone libraries raise various errors
        return Unreadable(f"holds a value that cannot be read ({type(error).__name__})", _text_of(scalar))


def _text_of(scalar: Any) -> str:
    """Text of a value as Arrow formats it, else of its underlying number; "" if both fail."""
    import pyarrow as pa

    for write in (lambda: scalar.cast(pa.string()).as_py(), lambda: str(scalar.value)):
        try:
            return str(write())
        except Exception:  # noqa: BLE001, S112  # the next way
            continue
    return ""


def separator_of(path: Path, decoding: Decoding) -> str:
    """The separator of a CSV or TSV file, as `csv_records` reads it."""
    with open_text(path, decoding) as text:
        return _split_header(text_lines(text, path, decoding), path, decoding)[0]
