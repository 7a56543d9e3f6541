"""Pools and targets from files and Hub data sets.

`conf/data` and `conf/target` instantiate these functions; their parameters are the config keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from nait.core.dataset.duplicates import resolve_duplicates
from nait.core.dataset.examples import Pool, Target, chosen_names
from nait.core.errors import ConfigError
from nait.data.columns.assigned_columns import Columns
from nait.data.files.file_io import Decoding
from nait.data.files.named_files import Paths, stem
from nait.data.files.sources import Source, hub_source, opened
from nait.data.parsing.pool_building import pool_of
from nait.data.parsing.row_parser import RowParser
from nait.data.references.reference_sets import reference_set


def read_pool(
    path: Paths | Source,
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
    first_index: int = 0,
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
) -> Pool:
    """Pool of the candidate rows of one or more files, in id order.

    `path`: a file, a list of files, a glob pattern, a folder of shards or of `save_to_disk`; together one pool. Or a
    source, such as `memory_source` of rows in memory.
    `name`: defaults to the name of the file. `columns`: field to column. `limit`: the first rows only.
    `id_column`: "auto" uses a column `id` if there is one; None derives ids from the content.
    `on_bad`: an invalid row is an "error", or is skipped and counted ("skip").
    `duplicates`: of rows with the same content, "first" keeps one and "keep" all; "error" refuses.
    `reasoning`: "keep" writes it before the answer as <think>...</think>; "drop" removes it.
    `turns`: "refuse" makes a conversation invalid unless user and assistant alternate and it ends with an answer.
    `turns="mend"` removes leading assistant messages and a trailing user message, and joins consecutive messages of
    one role.
    `first_index`: the number of the first option where an answer is a number, 0 or 1.
    `encoding`, `separator`, `field`, `max_row_mb`: see `Decoding`.

    Raises: DataError that names file, row and field; ConfigError that names the key.
    """
    parser = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, first_index, group="data")
    decoding = Decoding(encoding, separator, field, max_row_mb)
    source = opened(path, decoding, key="data.path")
    return resolve_duplicates(
        pool_of(parser, source, name or _name(path)), duplicates, group="data", place=source.place
    )


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
    first_index: int = 0,
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
) -> Pool:
    """Pool of a split of a Hub data set, from a local mirror or over the network.

    The parameters after `mirror` are the same as for `read_pool`. Raises: DataError, ConfigError.
    """
    parser = RowParser(format, columns, id_column, limit, on_bad, reasoning, turns, first_index, group="data")
    decoding = Decoding(encoding, separator, field, max_row_mb)
    source = hub_source(path, subset=subset, split=split, revision=revision, mirror=mirror, decoding=decoding)
    pool = pool_of(parser, source, name or path.split("/")[-1])
    return resolve_duplicates(pool, duplicates, group="data", place=source.place)


def read_target(
    path: Paths | Source,
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
    first_index: int = 0,
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target with this file as its reference set; the parameters to `max_row_mb` match `read_pool`.

    `rows`: number of rows to sample with `seed`; None uses all. Raises: DataError, ConfigError.
    """
    parser = RowParser(
        format, columns, id_column, limit, on_bad, reasoning, turns, first_index, group="target"
    )
    decoding = Decoding(encoding, separator, field, max_row_mb, group="target")
    return [_reference(parser, path, name or _name(path), decoding, duplicates, rows, seed)]


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
    first_index: int = 0,
    encoding: str | None = None,
    separator: str | None = None,
    field: str | None = None,
    max_row_mb: int = 64,
    rows: int | None = None,
    seed: int = 0,
) -> list[Target]:
    """One target per file, named and ordered as in `paths`; the parameters of `read_target` apply to every file.

    `capabilities`: names to use, in this order; None uses all. Raises: DataError, ConfigError.
    """
    if not paths:
        fix = "Name at least one: target.paths={NAME: FILE}, or choose target=none."
        raise ConfigError("there is no file", where="target.paths", fix=fix)
    parser = RowParser(
        format, columns, id_column, limit, on_bad, reasoning, turns, first_index, group="target"
    )
    decoding = Decoding(encoding, separator, field, max_row_mb, group="target")
    named = {str(name): path for name, path in paths.items()}
    chosen = chosen_names(capabilities, named)
    return [_reference(parser, named[name], name, decoding, duplicates, rows, seed) for name in chosen]


def _name(path: Paths | Source) -> str:
    """The default name of a pool or target."""
    return stem(path) if isinstance(path, str | Path | Sequence) else path.name


def _reference(
    parser: RowParser,
    path: Paths | Source,
    name: str,
    decoding: Decoding,
    duplicates: str,
    rows: int | None,
    seed: int,
) -> Target:
    """Target of a file."""
    source = opened(path, decoding, key="target.path")
    return reference_set(parser, source, name, duplicates=duplicates, rows=rows, seed=seed)


def no_targets() -> list[Target]:
    """Empty list of targets, for selectors that use the pool only."""
    return []
