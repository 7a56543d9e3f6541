"""Pools and targets, made from files and Hub sets.

The functions here are what `conf/data` and `conf/target` name; their parameters are the keys there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nait.core.address import unit_interval
from nait.core.duplicates import IDENTICAL, duplicates_in, settled
from nait.core.errors import ConfigError, DataError, did_you_mean
from nait.core.examples import Example, Pool, Target, as_target, chosen_names, fingerprint, gather
from nait.data.formats import Columns, Layout, find_layout
from nait.data.readers import Source, file_source, hub_source
from nait.data.rows import Row, RowError, checked_text, kind
from nait.data.streams import COMPRESSIONS

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """How rows become examples. `group` is the config group whose keys the messages name."""

    format: str
    columns: Columns | None
    id_column: str | None
    limit: int | None
    on_bad: str
    group: str

    def __post_init__(self) -> None:
        if self.on_bad not in ("error", "skip"):
            hint = did_you_mean(self.on_bad, ("error", "skip"))
            raise ConfigError(f"Unknown value '{self.on_bad}'", where=f"{self.group}.on_bad", mend=hint)
        if self.limit is not None and (not isinstance(self.limit, int) or self.limit < 1):
            mend = "Give a whole number from 1 on, or null for all rows."
            raise ConfigError(f"'{self.limit}' is no number of rows", where=f"{self.group}.limit", mend=mend)

    def pool(self, source: Source, name: str) -> Pool:
        """The rows of a source as a pool. Raises: DataError, ConfigError."""
        skipped: Counter[str] = Counter()
        examples = list(self._examples(source, skipped))
        counts = ", ".join(f"{count:,} rows ({reason})" for reason, count in skipped.most_common())
        if not examples:
            what = f"no row is left after leaving out {counts}" if skipped else "there is no row"
            raise DataError(what, where=source.name, mend="Check the file and its format.")
        if skipped:
            _log.warning("%s: left out %s", source.name, counts)
        return gather(name, examples, source=source, skipped=dict(skipped), where=source.name)

    def _examples(self, source: Source, skipped: Counter[str]) -> Iterator[Example]:
        def on_bad(number: int, error: RowError) -> None:
            if self.on_bad == "error":
                otherwise = f"set {self.group}.on_bad=skip"
                raise error.at_place(source.place(number), otherwise=otherwise) from error
            skipped[error.reason] += 1

        layout = None
        for number, row in source.rows(self.limit, on_bad):
            try:
                if layout is None:
                    layout, id_column = self._layout(row, source.name), self._id_column(row, source.name)
                    _log.info("%s: %s", source.name, layout)
                content = layout.read(row)
                key = _own_id(row, id_column) if id_column else ""
            except RowError as error:
                on_bad(number, error)
            else:
                yield Example(key, content.turns, content.system, content.subtask, number)

    def _layout(self, first: Row, where: str) -> Layout:
        return find_layout(first, format=self.format, columns=self.columns, where=where, group=self.group)

    def _id_column(self, first: Row, where: str) -> str | None:
        if self.id_column == "auto":
            return "id" if "id" in first else None
        if self.id_column is not None and self.id_column not in first:
            raise ConfigError(
                f"there is no column '{self.id_column}' in the first row of {where}",
                where=f"{self.group}.id_column",
                mend=f"{did_you_mean(self.id_column, first)} null makes ids from the content.",
            )
        return self.id_column


def _own_id(row: Row, column: str) -> str:
    """The user's id as text. Raises: RowError when it is none, or neither text nor a number."""
    value = row.get(column)
    mend = "Give every row an id of its own; id_column=null makes ids from the content"
    if value is None or value == "" or value != value:  # NaN, as pandas writes a missing id
        raise RowError("is missing", column=column, mend=mend)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise RowError(f"is {kind(value)}, neither text nor a number", column=column, mend=mend)
    return checked_text(str(value), column)


def read_pool(
    path: str | Path,
    *,
    name: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "first",
) -> Pool:
    """The candidate rows of a file, in id order. `name` is the file's own where it is null.

    `limit` takes the first rows of the file. `on_bad`: a row that cannot be used is an "error", or it is
    left out ("skip") and counted. `id_column`: "auto" takes a column `id` where the first row has one, null
    makes ids from the content. `duplicates`: of rows with the same content, whatever their ids, "first" keeps
    one, "keep" all; "error" refuses them.

    Raises: DataError that names file, row and field; ConfigError that names the key.
    """
    reading, source = Reading(format, columns, id_column, limit, on_bad, group="data"), file_source(path)
    pool = reading.pool(source, name or stem(path))
    return settled(pool, duplicates, group="data", place=source.place)


def read_hub_pool(
    path: str,
    *,
    subset: str | None = None,
    split: str = "train",
    revision: str | None = None,
    mirror: str | Path | None = None,
    name: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "first",
) -> Pool:
    """The candidate rows of a Hub set's split, from a local mirror or over the network.

    The keys after `mirror` are those of `read_pool`. Raises: DataError, ConfigError.
    """
    reading = Reading(format, columns, id_column, limit, on_bad, group="data")
    source = hub_source(path, subset=subset, split=split, revision=revision, mirror=mirror)
    pool = reading.pool(source, name or path.split("/")[-1])
    return settled(pool, duplicates, group="data", place=source.place)


def read_target(
    path: str | Path,
    *,
    name: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "keep",
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """The one target whose reference set is this file; the keys to `duplicates` are those of `read_pool`.

    `rows`: so many of them, drawn by `seed`; null: all. Raises: DataError, ConfigError.
    """
    reading = Reading(format, columns, id_column, limit, on_bad, group="target")
    return [_reference(reading, path, name or stem(path), duplicates, rows, seed)]


def read_targets(
    paths: Mapping[str, str | Path],
    *,
    capabilities: str | Sequence[str] | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "keep",
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target a file, under the names and in the order of `paths`; the keys of `read_target` hold for all files.

    `capabilities` chooses among the names, in its own order; null: all. Raises: DataError, ConfigError.
    """
    if not paths:
        mend = "Name at least one: target.paths={NAME: FILE}, or choose target=none."
        raise ConfigError("there is no file", where="target.paths", mend=mend)
    reading = Reading(format, columns, id_column, limit, on_bad, group="target")
    named = {str(name): path for name, path in paths.items()}
    return [
        _reference(reading, named[name], name, duplicates, rows, seed)
        for name in chosen_names(capabilities, named)
    ]


def _reference(
    reading: Reading, path: str | Path, name: str, duplicates: str, rows: int | None, seed: int
) -> Target:
    source = file_source(path)
    pool = settled(reading.pool(source, name), duplicates, group="target", place=source.place)
    return _drawn(as_target(pool), rows, seed)


def _drawn(target: Target, rows: int | None, seed: int) -> Target:
    """`rows` of its examples, whatever their order in the file; a smaller draw of one seed is part of a larger."""
    if rows is None:
        return target
    if not isinstance(rows, int) or rows < 1:
        mend = "Give a whole number from 1 on, or null for all rows."
        raise ConfigError(f"'{rows}' is no number of rows", where="target.rows", mend=mend)
    if rows > len(target):
        mend = f"Set target.rows={len(target)} or less."
        raise DataError(
            f"{rows} rows of {target.name} are asked for, it has {len(target)}",
            where="target.rows",
            mend=mend,
        )
    drawn = sorted(target.examples, key=lambda one: (unit_interval("reference", seed, one.id), one.id))[:rows]
    examples = tuple(sorted(drawn, key=lambda one: one.id))
    counted = target.duplicates if IDENTICAL in target.skipped else duplicates_in(examples)
    return replace(target, examples=examples, fingerprint=fingerprint(examples), duplicates=counted)


def no_targets() -> list[Target]:
    """No target, for methods that need none."""
    return []


def stem(path: str | Path) -> str:
    """The file's name without its suffixes: "pool" of "data/pool.jsonl.gz"."""
    found = Path(path)
    return Path(found.stem).stem if found.suffix.lower() in COMPRESSIONS else found.stem
