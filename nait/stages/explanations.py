"""Explanations of single rows: why a row of the pool is selected or not.

Shapes: N pool rows, T score columns, n reference rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Layered, Redrawable
from nait.core.dataset.examples import Pool, fingerprint
from nait.core.errors import DataError, did_you_mean
from nait.core.ranking.orders import by_target
from nait.signals.passes.stored_signals import NotMeasured
from nait.stages.stability import ScoredSelection, are_references

NEAREST = 3
"""Reference rows that are named as a row's nearest."""
MERGED = "+"
"""Between the names of the targets that one column merges."""
DIGITS = 20
"""A text with as many digits is not the number of a row."""


@dataclass(frozen=True)
class Explanation:
    """Why a row of the pool is selected or not, for one target.

    `rank`: from 1 in the selector's order, None if the row cannot be ranked. `percentile`: the share of eligible rows
    with a lower score. `by_score`: the ranks follow this score; under another order, such as turns of columns, rank
    and percentile may disagree.
    `needed`: the score of the last selected row, None unless the order is by the score of one column. `layers`:
    layer -> contribution.
    `nearest`: id and similarity of the most similar reference rows.
    """

    id: str
    row: int
    target: str
    selected: bool
    score: float | None
    rank: int | None
    percentile: float | None
    needed: float | None
    reason: str
    layers: dict[int, float]
    nearest: list[tuple[str, float]]
    by_score: bool = True
    columns: int = 1
    """The number of score columns, of which `score` is the highest."""
    of_references: bool = False
    """Whether each of several columns is that of one reference row; a file of scores may have others."""
    has_own_id: bool = False
    """Whether the id is from the pool's file, not derived from the content."""


def place_of(pool: Pool, name: str | int) -> int:
    """The place in `pool.examples` of a row: by its id, or as `row N` or a number by its number in the source.

    An id comes before a number; an int is always a number. Raises: DataError for an unknown row.
    """
    ids = {} if isinstance(name, int) else {key: place for place, key in enumerate(pool.ids)}
    if name in ids:
        return ids[str(name)]
    numbered = _numbered(pool, str(name))
    if numbered is not None:
        return numbered
    left_out = [f"{count:,} {reason}" for reason, count in pool.skipped.items() if count]
    advice = [
        f"Give an id, or a row's number from 0 to {max((example.row for example in pool.examples), default=0)}.",
        f"Rows that the pool leaves out have no score: {', '.join(left_out)}." if left_out else "",
        did_you_mean(str(name), list(ids)[:5000]),
    ]
    raise DataError(
        f"there is no row '{name}'", where=f"pool '{pool.name}'", fix=" ".join(filter(None, advice))
    )


def _numbered(pool: Pool, name: str) -> int | None:
    """The place of the row with the number `N` or `row N` in the source."""
    number = name.removeprefix("row").strip(" :#")
    if not number.isdecimal() or len(number) >= DIGITS:
        return None
    wanted = int(number)
    return next((place for place, example in enumerate(pool.examples) if example.row == wanted), None)


def id_note(pool: Pool, name: str) -> str:
    """What to say where `name` is the id of one row and the number of another; else empty."""
    place, numbered = place_of(pool, name), _numbered(pool, name)
    if numbered in (None, place) or name.startswith("row"):
        return ""
    return f"{name} is the id of row {pool.examples[place].row}. For row {int(name)}, type 'row {int(name)}'."


def explain_row(place: int, of: ScoredSelection) -> list[Explanation]:
    """One explanation for each target of the row at `place` in the pool."""
    example, table = of.pool.examples[place], of.table
    ranking = of.selector.order(table)
    ranks = {int(row): rank for rank, row in enumerate(ranking, start=1)}
    layers, nearest = _layers(place, of), _nearest(place, of)
    references = of.reference_ids
    found = []
    for target, columns in by_target(table.targets).items():
        values = np.fmax.reduce(table.values[:, columns], axis=1)  # NaN only where no column has a score
        score = float(values[place])
        eligible = values[~np.isnan(values)]
        by_score = len(table.targets) == 1 and _sorted(values[ranking])
        found.append(
            Explanation(
                id=example.id,
                row=example.row,
                target=target,
                selected=place in of.selection.rows,
                score=None if np.isnan(score) else score,
                rank=ranks.get(place),
                percentile=None if np.isnan(score) else float((eligible < score).mean()),
                needed=float(values[of.selection.rows[-1]]) if by_score else None,
                reason=table.reasons.get(example.id, ""),
                layers=layers.get(target, {}),
                nearest=nearest.get(target, []),
                by_score=by_score,
                columns=len(columns),
                has_own_id=example.has_own_id,
                of_references=are_references([table.targets[column] for column in columns], references),
            )
        )
    return found


def _sorted(values: npt.NDArray[Any]) -> bool:
    """Whether scores in the order of their ranks never rise, or never fall: the middle or a random order do both."""
    steps = np.diff(values)
    return bool((steps <= 0).all() or (steps >= 0).all())


def _layers(place: int, of: ScoredSelection) -> dict[str, dict[int, float]]:
    """Target -> layer -> its contribution to the row's score, minus its mean over the eligible rows."""
    scorer = of.selector.scorer
    if not isinstance(scorer, Layered) or not of.table.eligible[place]:
        return {}
    rows = np.array([place], dtype=np.int64)
    try:
        found = scorer.contributions(
            of.pool.blind(), of.targets, of.extractor.stored_only(), rows=rows, among=of.table.eligible
        )
        return {
            one.target: dict(zip(one.layers, (one.parts[0] - one.means).tolist(), strict=True))
            for one in found
        }
    except NotMeasured:
        return {}


def _nearest(place: int, of: ScoredSelection) -> dict[str, list[tuple[str, float]]]:
    """Target -> the reference rows that are most similar to the row, by the method's own features."""
    example, table, scorer = of.pool.examples[place], of.table, of.selector.scorer
    if isinstance(scorer, Redrawable) and example.answered:
        alone = Pool(f"row {example.row}", (example,), fingerprint([example]))
        alike = scorer.likeness(alone, of.pool.blind(), of.targets, of.extractor)
        ids = {target.name: [one.id for one in target.examples] for target in of.targets}
        return {column: _top_of(column.split(MERGED), ids, alike) for column in table.targets}
    names = [name.partition("/")[2] for name in table.targets]  # of columns of one reference row each
    references = of.reference_ids
    return {
        target: _top([names[c] for c in columns], table.values[place, columns])
        for target, columns in by_target(table.targets).items()
        if are_references([table.targets[c] for c in columns], references)
    }


def _top_of(
    parts: Sequence[str], ids: Mapping[str, Sequence[str]], alike: Mapping[str, npt.NDArray[Any]]
) -> list[tuple[str, float]]:
    """The most similar reference rows of the targets that a column merges, or of its one target."""
    known = [name for name in parts if name in alike]
    names = [key for name in known for key in ids[name]]
    return _top(names, np.concatenate([alike[name] for name in known])) if known else []


def _top(names: Sequence[str], values: npt.NDArray[Any]) -> list[tuple[str, float]]:
    best = np.argsort(-np.asarray(values), kind="stable")[:NEAREST]
    return [(names[place], float(values[place])) for place in best if not np.isnan(values[place])]
