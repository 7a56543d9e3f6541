"""Ground truth from label columns of the pool, and the quality of a selection by it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, did_you_mean
from nait.core.ranking.ground_truth import Labels, TruthColumns, measure, unlabelled
from nait.core.ranking.score_table import ScoreTable
from nait.core.ranking.selection import Selection

KINDS_SHOWN = 10


@dataclass(frozen=True)
class PoolLabels:
    """Labels of the rows with these ids. `warnings`: measures that the labels do not allow."""

    ids: tuple[str, ...]
    labels: Labels
    warnings: tuple[str, ...] = ()

    def of(self, pool: Pool) -> Labels:
        """Labels in the order of a pool, which may lack some of the rows."""
        places = {key: place for place, key in enumerate(self.ids)}
        return self.labels.at([places[key] for key in pool.ids])


def labels_of(pool: Pool, columns: TruthColumns | None, targets: Sequence[Target]) -> PoolLabels | None:
    """Labels from the columns that the config names; None without such columns or without a source file.

    Raises: ConfigError when no row has a column that the user named, or no row has any label column. DataError for a
    row that lacks a column or has a value of the wrong kind.
    """
    if columns is None or pool.source is None:
        return None
    lines = pool.source.lines([example.row for example in pool.examples])
    rows = [json.loads(line) for line in lines]
    missing = _missing(columns, rows)
    labels = columns.labels(rows, lambda number: _place(pool, number))
    names = [one.name for one in targets]
    return PoolLabels(pool.ids, labels, (*missing, *_unlabelled(labels, names), *_nearly(labels, names)))


def _missing(columns: TruthColumns, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Warnings for default columns that no row has.

    A column whose name differs from its key's was named by the user. Raises: ConfigError when no row has such a
    column, or when no row has any label column.
    """
    present = columns.present(rows)
    known = sorted({str(name) for row in rows for name in row})
    have = f"The rows have: {', '.join(known)}."
    lacking = {key: name for key, name in columns.named().items() if name not in present}
    for key, name in lacking.items():
        if name != key:
            near = did_you_mean(name, known)
            fix = near if near.startswith("Did") else have
            raise ConfigError(f"no row has a column '{name}'", where=f"truth.{key}", fix=fix)
    if not present:
        raise ConfigError(
            f"no row has any of the label columns ({', '.join(columns.named().values()) or 'all are null'})",
            where="truth",
            fix=f"truth.family=COLUMN is enough; truth=null uses none. {have}",
        )
    return [
        f"The rows have no column '{name}' (truth.{key}): the measures that need it are left out."
        for key, name in lacking.items()
    ]


def _unlabelled(labels: Labels, targets: Sequence[str]) -> list[str]:
    missing = unlabelled(labels, targets)
    if labels.family is None or not missing:
        return []
    kinds = sorted({str(one) for one in labels.family} - {""})
    shown = ", ".join(kinds[:KINDS_SHOWN]) + (", ..." if len(kinds) > KINDS_SHOWN else "")
    names = " or ".join(f"'{name}'" for name in missing)
    fix = "set target.name=LABEL to one of them" if len(targets) == 1 else "name each target as its label"
    return [
        f"No row is labelled {names}; the labels are {shown or 'all empty'}; {fix}. Which rows are in target is "
        "not known, so precision, coverage and related measures are left out."
    ]


def _nearly(labels: Labels, targets: Sequence[str]) -> list[str]:
    """Warnings for labels that are a target's name except for case and surrounding white space."""
    if labels.family is None or unlabelled(labels, targets):
        return []
    counts = Counter(str(one) for one in labels.family)
    near = {
        kind: (name, count)
        for name in targets
        for kind, count in sorted(counts.items())
        if kind not in targets and kind.strip().casefold() == name.strip().casefold()
    }
    return [
        f"{count} rows are labelled {kind!r}, which is not the target '{name}': they do not count as in target. "
        "Write the label in one way."
        for kind, (name, count) in near.items()
    ]


def _place(pool: Pool, number: int) -> str:
    row = pool.examples[number].row
    place = getattr(pool.source, "place", None)
    return str(place(row)) if place else f"{pool.name} row {row} (counted from 0)"


def judge(
    labels: Labels, selection: Selection, table: ScoreTable | None, targets: Sequence[Target]
) -> dict[str, float]:
    """Quality of the selection by the labels, rounded: precision, coverage, clean share and related measures.

    `table`: the scores that ranked the selection. None if its order ignores scores: measures of scores are omitted.
    """
    names = [target.name for target in targets]
    by_target = {name: table.column(name) for name in table.targets} if table else {}
    return {
        name: round(value, 4) for name, value in measure(labels, selection.rows, names, by_target).items()
    }
