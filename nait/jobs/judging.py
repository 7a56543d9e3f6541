"""Judging: a selection held against the labels in the user's own rows."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

from nait.core.errors import DataError
from nait.core.examples import Pool, Target
from nait.core.scores import ScoreTable
from nait.core.selection import Selection
from nait.core.truth import Labels, TruthColumns, measure

log = logging.getLogger("nait")

KINDS_SHOWN = 10


def labels_of(pool: Pool, columns: TruthColumns | None) -> Labels | None:
    """The labels in the pool's rows, where the config names their columns. Raises: DataError for one they lack."""
    if columns is None or pool.source is None:
        return None
    lines = pool.source.lines([example.row for example in pool.examples])
    rows = [json.loads(line) for line in lines]
    present = columns.present(rows)
    for key in ("skill", "clean", "lookalike"):
        name = getattr(columns, key)
        if name is not None and name not in present:
            log.info("The rows have no column '%s' (truth.%s): what it would tell is left out.", name, key)
    try:
        return columns.labels(rows)
    except KeyError as error:
        known = sorted({str(name) for row in rows for name in row})
        raise DataError(
            f"a row has no column {error}",
            where="truth",
            mend=f"truth.family=COLUMN is enough; truth=null uses none. The rows have: {', '.join(known)}.",
        ) from error


def judge(
    labels: Labels, selection: Selection, table: ScoreTable, targets: Sequence[Target]
) -> dict[str, float]:
    """What the selection is worth by the labels: precision, coverage, clean share and their like."""
    names = [target.name for target in targets]
    by_target = {name: table.column(name) for name in table.targets}
    found = measure(labels, selection.rows, names, by_target)
    if not found["base_rate"]:
        kinds = ", ".join(sorted({str(one) for one in labels.family})[:KINDS_SHOWN])
        log.warning(
            "No row is labelled with a target's name (%s): set target.name to one of %s.",
            ", ".join(names), kinds,
        )  # fmt: skip
    return {name: round(value, 4) for name, value in found.items()}
