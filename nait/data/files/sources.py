"""Row sources: files and Hub data sets, with access to parsed rows and to their original text.

A source reopens its files for each iteration and holds at most one batch of rows in memory.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, cast

from nait.core.dataset.examples import RawRows
from nait.core.errors import ConfigError, DataError
from nait.data.files.file_io import Decoding
from nait.data.files.file_records import ROW, Record, check_kind, parse_record, records
from nait.data.files.mirrors import checked_repo, mirrored_files
from nait.data.files.named_files import Paths, existing_file, named_files
from nait.data.files.tabular import BATCH_ROWS, rows_of_batch
from nait.data.row_errors import OnBad, Place, Row, RowError, Unreadable
from nait.hub.splits import fetched_split


class Source(RawRows, Protocol):
    """Iterable collection of raw rows, numbered from 0 in the order of the source."""

    @property
    def name(self) -> str:
        """Name of the file or Hub data set, for messages."""
        ...

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        """Valid rows among the first `limit` rows, with their places.

        Invalid rows are passed to `on_bad`. Raises: DataError for an invalid row when `on_bad` is None.
        """
        ...

    def place(self, row: int) -> str:
        """Place of a row, for messages: "pool.jsonl line 8". Iterates over the source again."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Rows of one or more files, in order. `stamps`: size and modification time of each file."""

    name: str
    paths: tuple[Path, ...]
    stamps: tuple[tuple[int, int], ...]
    decoding: Decoding = Decoding()  # noqa: RUF009  # frozen

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        return _parsed_rows(self._records(), limit, on_bad)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """JSON text of these rows, in this order: the original line of JSONL, else all columns in order.

        Raises: DataError when a file has changed since it was opened.
        """
        if tuple(_stamp(path) for path in self.paths) != self.stamps:
            raise DataError(
                "has changed since it was read",
                where=self.name,
                fix="Run again to read the new content.",
            )
        return _lines_of_rows(self.name, (record for _, record in self._records()), rows)

    def place(self, row: int) -> str:
        return str(next(islice(self._records(), row, None))[0])

    def _records(self) -> Iterator[tuple[Place, Record]]:
        before = 0
        for path in self.paths:
            place = None
            for place, record in records(path, self.decoding):
                yield place._replace(row=before + place.row), record
            before += place.row + 1 if place else 0


@dataclass(frozen=True)
class HubSource:
    """Rows of a split loaded by `datasets`, memory-mapped from Arrow files."""

    name: str
    table: Any

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        placed = ((Place(row, self.name, ROW, row), record) for row, record in enumerate(self._records()))
        return _parsed_rows(placed, limit, on_bad)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """JSON text of these rows, in this order, with all columns in order."""
        return _lines_of_rows(self.name, self._records(), rows)

    def place(self, row: int) -> str:
        return str(Place(row, self.name, ROW, row))

    def _records(self) -> Iterator[Record]:
        # Arrow format, because `datasets` would otherwise decode images and audio in unused columns.
        for batch in self.table.with_format("arrow").iter(batch_size=BATCH_ROWS):
            for part in batch.to_batches():
                yield from rows_of_batch(part)


@dataclass(frozen=True)
class MemorySource:
    """Rows that a program holds in memory."""

    name: str
    held: Sequence[Row] = field(repr=False)

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        placed = ((Place(row, self.name, ROW, row), record) for row, record in enumerate(self.held))
        return _parsed_rows(placed, limit, on_bad)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """JSON text of these rows, in this order, with all columns in order."""
        return _lines_of_rows(self.name, self.held, rows)

    def place(self, row: int) -> str:
        return str(Place(row, self.name, ROW, row))


def memory_source(rows: Any, name: str) -> MemorySource | HubSource:
    """Source for a list of dicts, a pandas frame or a `datasets.Dataset`.

    Raises: DataError for anything else. A missing cell of a frame is null; its index is not a column.
    """
    if hasattr(rows, "with_format") and hasattr(rows, "column_names"):
        return HubSource(name, rows)
    if hasattr(rows, "columns") and hasattr(rows, "itertuples"):
        import pyarrow as pa

        batches = pa.Table.from_pandas(rows, preserve_index=False).to_batches(max_chunksize=BATCH_ROWS)
        return MemorySource(name, [row for batch in batches for row in rows_of_batch(batch)])
    if (
        isinstance(rows, Sequence)
        and not isinstance(rows, str)
        and all(isinstance(row, dict) for row in rows)
    ):
        return MemorySource(name, rows)
    raise DataError(
        f"{type(rows).__name__} does not hold rows",
        where=name,
        fix="Give a path, a list of dicts, a pandas frame or a datasets.Dataset.",
    )


def opened(path: Paths | Source, decoding: Decoding, *, key: str) -> Source:
    """The source itself, or the source for the files that `path` names. Raises: DataError, ConfigError."""
    if isinstance(path, FileSource | HubSource | MemorySource):
        return path
    return file_source(cast(Paths, path), decoding, key=key)


def file_source(path: Paths, decoding: Decoding = Decoding(), *, key: str = "data.path") -> FileSource:  # noqa: B008
    """Source for the files that `path` names. Messages name the config key `key`.

    Raises: DataError when a file does not exist, ConfigError when a suffix is unknown.
    """
    paths = named_files(path, key=key)
    name = str(path) if isinstance(path, (str, Path)) else f"{paths[0]} and {len(paths) - 1} more"
    return _file_source(name, paths, decoding)


def hub_source(
    repo: str,
    *,
    subset: str | None = None,
    split: str = "train",
    revision: str | None = None,
    mirror: str | Path | None = None,
    decoding: Decoding = Decoding(),  # noqa: B008  # frozen
) -> FileSource | HubSource:
    """Source for a split of a Hub data set: from the local folder `mirror`, else from the Hub or its cache.

    Messages name keys of the decoding's group.
    Raises: DataError when it is not available, ConfigError when `repo` is not a Hub name.
    """
    group = decoding.group
    checked_repo(repo, group)
    name = " ".join(part for part in (repo, subset, split) if part)
    if mirror is None:
        return HubSource(
            name, fetched_split(repo, subset=subset, split=split, revision=revision, group=group)
        )
    if revision is not None:
        raise ConfigError(
            f"cannot be combined with {group}.mirror: a mirror holds one unnamed revision",
            where=f"{group}.revision",
            fix=f"Set {group}.revision=null, or {group}.mirror=null.",
        )
    files = mirrored_files(mirror, repo, subset=subset, split=split, group=group)
    return _file_source(name, files, decoding)


def _file_source(name: str, paths: tuple[Path, ...], decoding: Decoding) -> FileSource:
    for path in paths:
        check_kind(path)  # fail before the first row is read
    return FileSource(name, paths, tuple(_stamp(path) for path in paths), decoding)


def _stamp(path: Path) -> tuple[int, int]:
    facts = existing_file(path).stat()
    return facts.st_size, facts.st_mtime_ns


def _parsed_rows(
    placed: Iterable[tuple[Place, Record]], limit: int | None, on_bad: OnBad | None
) -> Iterator[tuple[Place, Row]]:
    for place, record in islice(placed, limit):
        try:
            row = parse_record(record)
        except RowError as error:
            if on_bad is None:
                raise error.at_place(place) from error
            on_bad(place, error)
        else:
            yield place, row


def _lines_of_rows(name: str, records: Iterable[Record], rows: Sequence[int]) -> Iterator[str]:
    """JSON text of the records with these numbers, in this order; other records are not held."""
    wanted = set(rows)
    found: dict[int, str] = {}
    for number, record in enumerate(records):
        if number in wanted:
            found[number] = _line(record)
        if len(found) == len(wanted):
            break
    for row in rows:
        if row not in found:
            raise DataError(f"there is no row {row}", where=name, fix="Run again to read the new content.")
        yield found[row]


def _line(record: Record) -> str:
    if isinstance(record, bytes):
        return record.removesuffix(b"\n").removesuffix(b"\r").decode()
    row = parse_record(record)
    try:
        text = json.dumps(row, ensure_ascii=False, default=_json_default)
        text.encode()
    except RecursionError as error:
        raise DataError(
            "a row is nested too deeply to be written", where=str(error), fix="Flatten its columns."
        ) from error
    except UnicodeEncodeError:  # a lone surrogate: valid in JSON escapes, not in UTF-8
        return json.dumps(row, default=_json_default)
    return text


def _json_default(value: Any) -> str:
    """Text of values that JSON lacks: bytes in base64, dates in ISO 8601."""
    if isinstance(value, Unreadable):
        return value.text
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
