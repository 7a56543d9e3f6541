"""Pools and targets, made from files and Hub sets.

The functions here are what `conf/data` and `conf/target` name; their parameters are the keys there.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from nait.core.addresses import unit_interval
from nait.core.dataset.duplicates import IDENTICAL, duplicates_in, settled
from nait.core.dataset.examples import Pool, Target, as_target, chosen_names, fingerprint
from nait.core.errors import ConfigError, DataError
from nait.data.columns.formats import Columns
from nait.data.files.file_io import Decoding
from nait.data.files.named_files import Paths, stem
from nait.data.files.sources import file_source, hub_source
from nait.data.pool_building import EMPTY_ANSWER, pool_of
from nait.data.row_parser import RowParser

_log = logging.getLogger(__name__)


def read_pool(
    path: Paths,
    *,
    name: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "first",
    reasoning: str = "keep",
    turns: str = "refuse",
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
) -> Pool:
    """The candidate rows of a file, in id order. `name` is the file's own where it is null.

    `path` may also be a list of files, a pattern, a folder of shards or one of `save_to_disk`: together one pool.
    `limit` takes the first rows. `on_bad`: a row that cannot be used is an "error", or it is left out ("skip") and
    counted. `id_column`: "auto" takes a column `id` where there is one, null makes ids from the content.
    `duplicates`: of rows with the same content, whatever their ids, "first" keeps one, "keep" all; "error" refuses.
    `reasoning` of an answer is kept before it as <think>...</think>, or left out ("drop"). `turns`: a conversation
    whose speaker_roles do not take turns to an answer is a row that cannot be used ("refuse"), or is mended ("mend"):
    first messages of the assistant and a last one of the user are cut off, and consecutive ones of a speaker joined.
    `encoding`, `separator`, `field` and `max_row_mb` are those of `Decoding`.

    Raises: DataError that names file, row and field; ConfigError that names the key.
    """
    reading = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, group="data")
    decoding = Decoding(encoding, separator, field, max_row_mb)
    source = file_source(path, decoding)
    return settled(pool_of(reading, source, name or stem(path)), duplicates, group="data", place=source.place)


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
    reasoning: str = "keep",
    turns: str = "refuse",
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
) -> Pool:
    """The candidate rows of a Hub set's split, from a local mirror or over the network.

    The keys after `mirror` are those of `read_pool`. Raises: DataError, ConfigError.
    """
    reading = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, group="data")
    decoding = Decoding(encoding, separator, field, max_row_mb)
    source = hub_source(path, subset=subset, split=split, revision=revision, mirror=mirror, decoding=decoding)
    pool = pool_of(reading, source, name or path.split("/")[-1])
    return settled(pool, duplicates, group="data", place=source.place)


def read_target(
    path: Paths,
    *,
    name: str | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "keep",
    reasoning: str = "keep",
    turns: str = "refuse",
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """The one target whose reference set is this file; the keys to `max_row_mb` are those of `read_pool`.

    `rows`: so many of them, drawn by `seed`; null: all. Raises: DataError, ConfigError.
    """
    reading = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, group="target")
    decoding = Decoding(encoding, separator, field, max_row_mb, group="target")
    return [_reference(reading, path, name or stem(path), decoding, duplicates, rows, seed)]


def read_targets(
    paths: Mapping[str, Paths],
    *,
    capabilities: str | Sequence[str] | None = None,
    format: str = "auto",
    columns: Columns | None = None,
    id_column: str | None = "auto",
    limit: int | None = None,
    on_bad: str = "error",
    duplicates: str = "keep",
    reasoning: str = "keep",
    turns: str = "refuse",
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target a file, under the names and in the order of `paths`; the keys of `read_target` hold for all files.

    `capabilities` chooses among the names, in its own order; null: all. Raises: DataError, ConfigError.
    """
    if not paths:
        mend = "Name at least one: target.paths={NAME: FILE}, or choose target=none."
        raise ConfigError("there is no file", where="target.paths", mend=mend)
    reading = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, group="target")
    decoding = Decoding(encoding, separator, field, max_row_mb, group="target")
    named = {str(name): path for name, path in paths.items()}
    chosen = chosen_names(capabilities, named)
    return [_reference(reading, named[name], name, decoding, duplicates, rows, seed) for name in chosen]


def _reference(
    reading: RowParser,
    path: Paths,
    name: str,
    decoding: Decoding,
    duplicates: str,
    rows: int | None,
    seed: int,
) -> Target:
    """The target of a file; rows without an answer are left out and counted."""
    source = file_source(path, decoding, key="target.path")
    target = as_target(
        settled(pool_of(reading, source, name), duplicates, group="target", place=source.place)
    )
    empty = {example.id for example in target.examples if not example.answered}
    if empty:
        _log.warning(
            "%s: %d row(s) without an answer cannot be references: left out.", source.name, len(empty)
        )
    return _drawn(target.without(empty, EMPTY_ANSWER), rows, seed)


def _drawn(target: Target, rows: int | None, seed: int) -> Target:
    """`rows` of its examples, whatever their order in the file; a smaller draw of one seed is part of a larger."""
    if rows is None:
        return target
    if not isinstance(rows, int) or rows < 1:
        mend = "Give a whole number from 1 on, or null for all rows."
        raise ConfigError(f"'{rows}' is not a number of rows", where="target.rows", mend=mend)
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
