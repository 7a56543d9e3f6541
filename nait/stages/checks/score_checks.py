"""Checks of score columns: constant, mostly missing, or correlated with length."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.contracts import Order
from nait.core.errors import NaitError
from nait.core.ranking.orders import Shuffled
from nait.core.ranking.rank_statistics import spearman
from nait.core.ranking.score_table import ScoreTable, id_order
from nait.core.ranking.selection import Selection

LOUD_LENGTH_RHO = 0.5
LOUD_MISSING_SHARE = 0.2
LOUD_TIED_SHARE = 0.2
SHOWN_COLUMNS = 8
TIED_COLUMNS = 16
"""Tables with more columns, such as one for each reference row, are not searched for equal scores."""
SAMPLED_ROWS, SEED = 100_000, 0
"""Length correlation uses a sample of this size at most. The error of rho is about 0.003, rarely 0.01."""
BROKEN = ("not a finite number", "no embedding", "zero-norm gradient", "no score")
"""Reasons that indicate a numerical failure, not a row that a method leaves out on purpose."""


@dataclass(frozen=True)
class Inspection:
    """Spearman's rho of each column with the token length that the model reads, and warnings.

    Rho is over all rows with a score; beyond `SAMPLED_ROWS` of them, over a sample drawn with `SEED`.
    """

    length_correlation: dict[str, float | None]
    warnings: tuple[str, ...]


def inspect(table: ScoreTable, lengths: npt.NDArray[Any]) -> Inspection:
    """Inspection of a table's columns. `lengths` [N] in tokens, cut at the length limit: no more can affect a score.

    Raises: NaitError for a constant column, which ranks arbitrarily.
    """
    missing: dict[str, float] = {}
    correlations: dict[str, float | None] = {}
    for name in table.targets:
        values = np.asarray(table.column(name), dtype=np.float64)
        finite = values[np.isfinite(values)]
        missing[name] = 1 - len(finite) / max(1, len(values))
        if table.exhaustive:
            correlations[name] = None
            continue
        if len(finite) > 1 and float(finite.max()) == float(finite.min()):
            raise NaitError(
                f"every row has the same score ({finite[0]:.6g})",
                where=f"score column '{name}'",
                fix="It cannot rank rows: check the selector's settings and the target.",
            )
        rho = _length_correlation(values, lengths)
        correlations[name] = None if math.isnan(rho) else round(rho, 4)
    return Inspection(
        correlations,
        (*_missing_warnings(missing), *_length_warnings(correlations), *_failure_warnings(table)),
    )


def _length_correlation(values: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> float:
    rows = np.flatnonzero(np.isfinite(values))
    if len(rows) > SAMPLED_ROWS:
        rows = rows[np.random.default_rng(SEED).choice(len(rows), SAMPLED_ROWS, replace=False, shuffle=False)]
    return spearman(values[rows], lengths[rows])


def ranks_by_score(order: Order) -> bool:
    """Whether an order ranks by score. A shuffled order only needs to know which rows have a score."""
    return not isinstance(order, Shuffled)


def warnings_under(scores: Mapping[str, Any], order: Order) -> list[str]:
    """The warnings in a `scores` artifact's manifest that apply under `order`.

    Warnings about length do not apply to an order that ignores scores.
    """
    irrelevant = () if ranks_by_score(order) else _length_warnings(scores["length_correlation"])
    return [warning for warning in scores["warnings"] if warning not in irrelevant]


def tie_warnings(table: ScoreTable, order: Order, selection: Selection) -> list[str]:
    """A warning for a selection of which many rows would be others if equal scores were ordered the other way."""
    searched = len(table.targets) <= TIED_COLUMNS and ranks_by_score(order) and not table.exhaustive
    if not (searched and len(selection) and any(map(_has_ties, np.asarray(table.values).T))):
        return []
    places = np.empty(len(table.ids), dtype=np.int64)
    places[id_order(table.ids)[::-1]] = np.arange(len(table.ids))
    turned = replace(table, ids=tuple(f"{place:012d}" for place in places.tolist()), reasons={})
    others = set(order(turned)[: len(selection)].tolist())
    share = 1 - len(others & set(selection.rows)) / len(selection)
    if share <= LOUD_TIED_SHARE:
        return []
    return [
        f"{share:.0%} of the selected rows would be others if ids decided the other way between equal scores: "
        "the scores are too coarse for this budget."
    ]


def _has_ties(values: npt.NDArray[Any]) -> bool:
    known = values[~np.isnan(values)]
    return len(np.unique(known)) < len(known)


def _missing_warnings(shares: Mapping[str, float]) -> list[str]:
    loud = {name: share for name, share in shares.items() if share > LOUD_MISSING_SHARE}
    if len(loud) > SHOWN_COLUMNS:
        return [
            f"{len(loud)} of {len(shares)} columns lack a score for up to {max(loud.values()):.0%} of the rows."
        ]
    return [f"{name}: {share:.0%} of the rows have no score." for name, share in loud.items()]


def _length_warnings(correlations: Mapping[str, float | None]) -> list[str]:
    loud = {name: rho for name, rho in correlations.items() if rho is not None and abs(rho) > LOUD_LENGTH_RHO}
    fix = "compare with a length-matched control before crediting the content."
    if len(loud) > SHOWN_COLUMNS:
        top = f"{max(loud.values(), key=abs):+z.2f} with tokens"
        head = f"{len(loud)} of {len(correlations)} columns follow length (Spearman rho up to {top})"
        return [f"{head}: {fix}"]
    return [
        f"{name}: the score follows length (Spearman rho {rho:+z.2f} with tokens): {fix}"
        for name, rho in loud.items()
    ]


def _failure_warnings(table: ScoreTable) -> list[str]:
    """Warnings for rows whose score failed numerically: an overflow, a zero vector."""
    counts = table.ineligible_counts()
    return [
        f"{counts[reason]} of {len(table.ids)} rows: {reason}. Look at the model's dtype and at these rows."
        for reason in BROKEN
        if reason in counts
    ]
