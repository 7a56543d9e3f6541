"""Sources of rows, files and Hub sets: rows out, and the user's own rows given back.

A source is opened anew for each walk: it holds no file open and, at any time, one batch of rows.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from nait.core.dataset.examples import RawRows
from nait.core.errors import ConfigError, DataError
from nait.data.files.file_io import Decoding
from nait.data.files.file_records import ROW, Record, check_kind, parsed, records
from nait.data.files.mirrors import checked_repo, mirrored_files
from nait.data.files.named_files import Paths, existing_file, named_files
from nait.data.files.tabular import BATCH_ROWS, rows_of_batch
from nait.data.row_errors import OnBad, Place, Row, RowError, Unreadable
from nait.hub.splits import fetched_split


class Source(RawRows, Protocol):
    """Where rows come from. They are numbered from 0 in the order of the source."""

    @property
    def name(self) -> str:
        """The file or Hub set, for messages."""
        ...

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        """The good ones of the first `limit` rows, with their places.

        Raises: DataError at a bad row, unless `on_bad` is there to take it.
        """
        ...

    def place(self, row: int) -> str:
        """Where a row is, for messages, by another walk: "pool.jsonl line 8"."""
        ...


@dataclass(frozen=True)
class FileSource:
    """Rows of one file, or of several one after the other. `stamps`: each one's size and time of change."""

    name: str
    paths: tuple[Path, ...]
    stamps: tuple[tuple[int, int], ...]
    decoding: Decoding = Decoding()  # noqa: RUF009  # frozen

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        return _rows(self._records(), limit, on_bad)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """The JSON text of these rows, in this order: of JSONL the very line, else all columns in order.

        Raises: DataError when a file has changed since it was opened.
        """
        if tuple(_stamp(path) for path in self.paths) != self.stamps:
            raise DataError(
                "has changed since it was read",
                where=self.name,
                mend="Run again: everything is then read again.",
            )
        return _chosen(self.name, (record for _, record in self._records()), rows)

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
    """Rows of a split as `datasets` holds it, in Arrow files on disk."""

    name: str
    table: Any

    def rows(self, limit: int | None = None, on_bad: OnBad | None = None) -> Iterator[tuple[Place, Row]]:
        placed = ((Place(row, self.name, ROW, row), record) for row, record in enumerate(self._records()))
        return _rows(placed, limit, on_bad)

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """The JSON text of these rows, in this order, all columns in theirs."""
        return _chosen(self.name, self._records(), rows)

    def place(self, row: int) -> str:
        return str(Place(row, self.name, ROW, row))

    def _records(self) -> Iterator[Record]:
        # As Arrow: otherwise images and sounds in columns nobody reads would be decoded.
        for batch in self.table.with_format("arrow").iter(batch_size=BATCH_ROWS):
            for part in batch.to_batches():
                yield from rows_of_batch(part)


def file_source(path: Paths, decoding: Decoding = Decoding(), *, key: str = "data.path") -> FileSource:  # noqa: B008
    """The rows of the files that `path` names, whose suffixes say what they are. `key` is named in messages.

    Raises: DataError when one is not there, ConfigError when a suffix is unknown.
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
    """The rows of a Hub set's split: from `mirror`, a local folder, or else from the Hub or its cache.

    Raises: DataError when it cannot be had, ConfigError when `repo` is a path elsewhere.
    """
    checked_repo(repo)
    name = " ".join(part for part in (repo, subset, split) if part)
    if mirror is None:
        return HubSource(name, fetched_split(repo, subset=subset, split=split, revision=revision))
    if revision is not None:
        raise ConfigError(
            "a mirror holds one revision, which it does not name",
            where="data.revision",
            mend="Leave it null together with data.mirror.",
        )
    return _file_source(name, mirrored_files(mirror, repo, subset=subset, split=split), decoding)


def _file_source(name: str, paths: tuple[Path, ...], decoding: Decoding) -> FileSource:
    for path in paths:
        check_kind(path)  # raises at the door, not at the first row
    return FileSource(name, paths, tuple(_stamp(path) for path in paths), decoding)


def _stamp(path: Path) -> tuple[int, int]:
    facts = existing_file(path).stat()
    return facts.st_size, facts.st_mtime_ns


def _rows(
    placed: Iterable[tuple[Place, Record]], limit: int | None, on_bad: OnBad | None
) -> Iterator[tuple[Place, Row]]:
    for place, record in islice(placed, limit):
        try:
            row = parsed(record)
        except RowError as error:
            if on_bad is None:
                raise error.at_place(place) from error
            on_bad(place, error)
        else:
            yield place, row


def _chosen(name: str, records: Iterable[Record], rows: Sequence[int]) -> Iterator[str]:
    """The JSON text of the records with these numbers, in this order. No other record is held."""
    wanted = set(rows)
    found: dict[int, str] = {}
    for number, record in enumerate(records):
        if number in wanted:
            found[number] = _line(record)
        if len(found) == len(wanted):
            break
    for row in rows:
        if row not in found:
            raise DataError(
                f"there is no row {row}", where=name, mend="Run again: everything is then read again."
            )
        yield found[row]


def _line(record: Record) -> str:
    if isinstance(record, bytes):
        return record.removesuffix(b"\n").removesuffix(b"\r").decode()
    row = parsed(record)
    try:
        text = json.dumps(row, ensure_ascii=False, default=_as_text)
        text.encode()
    except RecursionError as error:
        raise DataError(
            "a row is nested too deeply to be written", where=str(error), mend="Flatten its columns."
        ) from error
    except UnicodeEncodeError:  # half a surrogate pair: JSON can spell it, UTF-8 cannot hold it
        return json.dumps(row, default=_as_text)
    return text


def _as_text(value: Any) -> str:
    """Values that Parquet has and JSON lacks, as text: bytes in base64, dates in ISO 8601."""
    if isinstance(value, Unreadable):
        return value.text
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value.isoformat()) if hasattr(value, "isoformat") else str(value)
