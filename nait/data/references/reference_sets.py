"""Reference sets: the answered rows of a source, and samples of them."""

from __future__ import annotations

import logging
from dataclasses import replace

from nait.core.addresses import unit_interval
from nait.core.dataset.duplicates import IDENTICAL, count_duplicates, resolve_duplicates
from nait.core.dataset.examples import Target, as_target, fingerprint
from nait.core.errors import ConfigError, DataError
from nait.data.columns.fields.text_notes import EMPTY_ANSWER
from nait.data.files.sources import Source
from nait.data.parsing.pool_building import pool_of
from nait.data.parsing.row_parser import RowParser

_log = logging.getLogger(__name__)


def reference_set(
    parser: RowParser, source: Source, name: str, *, duplicates: str, rows: int | None, seed: int
) -> Target:
    """Target of a source; rows without an answer are skipped and counted. `rows`: the size of the sample.

    Raises: DataError, ConfigError.
    """
    target = as_target(
        resolve_duplicates(pool_of(parser, source, name), duplicates, group="target", place=source.place)
    )
    empty = {example.id for example in target.examples if not example.answered}
    if empty:
        _log.warning(
            "%s: skipped %d row(s) without an answer, which cannot be references.", source.name, len(empty)
        )
    return drawn(target.without(empty, EMPTY_ANSWER), rows, seed)


def drawn(target: Target, rows: int | None, seed: int) -> Target:
    """Sample of `rows` examples, independent of file order; with one seed, a smaller sample is part of a larger."""
    if rows is None:
        return target
    if not isinstance(rows, int) or rows < 1:
        fix = "Give a whole number from 1 on, or null for all rows."
        raise ConfigError(f"'{rows}' is not a number of rows", where="target.rows", fix=fix)
    if rows > len(target):
        fix = f"Set target.rows={len(target)} or less."
        raise DataError(
            f"{rows} rows are requested, but {target.name} has {len(target)}",
            where="target.rows",
            fix=fix,
        )
    chosen = sorted(target.examples, key=lambda one: (unit_interval("reference", seed, one.id), one.id))[
        :rows
    ]
    examples = tuple(sorted(chosen, key=lambda one: one.id))
    counted = target.duplicates if IDENTICAL in target.skipped else count_duplicates(examples)
    return replace(target, examples=examples, fingerprint=fingerprint(examples), duplicates=counted)
