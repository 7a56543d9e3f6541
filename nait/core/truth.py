"""Ground truth: what a selection is, where the rows carry labels. No selector ever sees them.

Shapes: N rows. In target: a row whose family is one of the targets' names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.rankings import lowest_first, mean_ranks


@dataclass(frozen=True)
class Labels:
    """The rows' labels, in the pool's order: [N] family, skill, clean, lookalike; None for those they lack."""

    family: npt.NDArray[np.str_]
    skill: npt.NDArray[np.str_] | None = None
    clean: npt.NDArray[np.bool_] | None = None
    lookalike: npt.NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class TruthColumns:
    """The names of the label columns in the user's own rows. `lookalike` marks rows that only look in target.

    `family` is enough: of another column that is null, or that no row has, its measure is left out.
    """

    family: str
    skill: str | None = None
    clean: str | None = None
    lookalike: str | None = None

    def labels(self, rows: Sequence[Mapping[str, Any]]) -> Labels:
        """The labels of these rows. Raises: KeyError for a row without a column that is there in others."""
        present = self.present(rows)

        def column(name: str | None, kind: Callable[[Any], Any]) -> Any:
            return np.array([kind(row[name]) for row in rows]) if name in present else None

        return Labels(
            np.array([str(row[self.family]) for row in rows]),
            column(self.skill, str),
            column(self.clean, bool),
            column(self.lookalike, bool),
        )

    def present(self, rows: Sequence[Mapping[str, Any]]) -> set[str]:
        """The columns of these that any row has."""
        names = {name for name in (self.family, self.skill, self.clean, self.lookalike) if name is not None}
        return {name for name in names if any(name in row for row in rows)}


def measure(
    labels: Labels,
    chosen: Sequence[int],
    targets: Sequence[str],
    scores: Mapping[str, npt.NDArray[np.floating[Any]]] | None = None,
) -> dict[str, float]:
    """What a selection of these rows is worth, in [0, 1].

    precision: share in target; base_rate: that share in the whole pool; clean: share that is well-formed and
    right; lookalike: share of rows that only look in target; coverage: the effective number of the targets'
    sub-skills among the chosen (the exponential of their entropy) over all there are; auc: how often a
    row in target outscores another one, averaged over the score columns (0.5 is chance). With several targets
    also "precision each": of as many rows from the top of each target's own column, averaged.
    """
    rows = np.asarray(list(chosen), dtype=np.int64)
    in_target = np.isin(labels.family, list(targets))
    found = {"precision": float(in_target[rows].mean()), "base_rate": float(in_target.mean())}
    if labels.clean is not None:
        found["clean"] = float(labels.clean[rows].mean())
    if labels.lookalike is not None:
        decoys = labels.lookalike & np.isin(labels.family, [f"lookalike_{name}" for name in targets])
        found["lookalike"] = float(decoys[rows].mean())
    if labels.skill is not None:
        found["coverage"] = _coverage(labels.skill[rows][in_target[rows]], labels.skill[in_target])
    columns = {name: values for name, values in (scores or {}).items() if name in targets}
    if columns:
        found["auc"] = float(
            np.mean([_auc(values, labels.family == name) for name, values in columns.items()])
        )
    if len(columns) > 1:
        tops = [_top(values, len(rows), labels.family == name) for name, values in columns.items()]
        found["precision each"] = float(np.mean(tops))
    return found


def _top(values: npt.NDArray[np.floating[Any]], count: int, positive: npt.NDArray[np.bool_]) -> float:
    """The share of positives among the `count` highest values."""
    places = lowest_first(-np.where(np.isfinite(values), values, -np.inf))[:count]
    return float(positive[places].mean())


def _coverage(chosen: npt.NDArray[np.str_], all_of_them: npt.NDArray[np.str_]) -> float:
    kinds = len(np.unique(all_of_them))
    if not len(chosen) or not kinds:
        return 0.0
    _, counts = np.unique(chosen, return_counts=True)
    share = counts / counts.sum()
    return math.exp(-float(np.sum(share * np.log(share)))) / kinds


def _auc(values: npt.NDArray[np.floating[Any]], positive: npt.NDArray[np.bool_]) -> float:
    """The Mann-Whitney statistic over its maximum, ties counted half; rows without a score are left out."""
    scored = np.isfinite(values)
    ranks, wins = mean_ranks(values[scored]), positive[scored]
    n, m = int(wins.sum()), int((~wins).sum())
    if not n or not m:
        return float("nan")
    return float((ranks[wins].sum() - n * (n + 1) / 2) / (n * m))
