"""Judging: a selection held against the labels in the user's own rows."""

from __future__ import annotations

import json
from collections.abc import Sequence

from nait.core.errors import DataError
from nait.core.examples import Pool, Target
from nait.core.scores import ScoreTable
from nait.core.selection import Selection
from nait.core.truth import Labels, TruthColumns, measure


def labels_of(pool: Pool, columns: TruthColumns | None) -> Labels | None:
    """The labels in the pool's rows, where the config names their columns. Raises: DataError for one they lack."""
    if columns is None or pool.source is None:
        return None
    lines = pool.source.lines([example.row for example in pool.examples])
    try:
        return columns.labels([json.loads(line) for line in lines])
    except KeyError as error:
        raise DataError(
            f"the rows have no column {error}",
            where="truth",
            mend="Name the label columns, or set truth=null.",
        ) from error


def judge(
    labels: Labels, selection: Selection, table: ScoreTable, targets: Sequence[Target]
) -> dict[str, float]:
    """What the selection is worth by the labels: precision, coverage, clean share and their like."""
    names = [target.name for target in targets]
    by_target = {name: table.column(name) for name in table.targets}
    found = measure(labels, selection.rows, names, by_target)
    return {name: round(value, 4) for name, value in found.items()}
