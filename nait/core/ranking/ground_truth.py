"""Ground truth: the quality of a selection by labels in the rows. Selectors never see the labels.

Shapes: N rows. A row is in target when its family is the name of a target.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import digest_lines
from nait.core.errors import DataError
from nait.core.ranking.rank_statistics import lowest_first, mean_ranks

KEYS = ("family", "skill", "clean", "lookalike")
LOOKALIKE = "lookalike_"
"""The family "lookalike_NAME" looks like the target NAME only."""
FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


@dataclass(frozen=True)
class Labels:
    """Labels [N] of the pool's rows, in its order; None for a label that no row has.

    A row without a family or skill has the label "".
    """

    family: npt.NDArray[np.str_] | None = None
    skill: npt.NDArray[np.str_] | None = None
    clean: npt.NDArray[np.bool_] | None = None
    lookalike: npt.NDArray[np.bool_] | None = None

    def at(self, places: Sequence[int]) -> Labels:
        """The labels of the rows at these positions, in this order."""
        chosen = np.asarray(list(places), dtype=np.int64)

        def part(values: Any) -> Any:
            return None if values is None else values[chosen]

        return Labels(part(self.family), part(self.skill), part(self.clean), part(self.lookalike))


@dataclass(frozen=True)
class TruthColumns:
    """The names of the label columns in the user's rows. Each is optional; null: no such label.

    `clean` and `lookalike` hold true or false: booleans, 1 and 0, or the texts true, false, yes, no, 1, 0 in any
    case. `lookalike` marks rows that resemble a target without being in it: any target, except for a row of the
    family "lookalike_NAME", which resembles only NAME.
    """

    family: str | None = None
    skill: str | None = None
    clean: str | None = None
    lookalike: str | None = None

    def labels(
        self,
        rows: Sequence[Mapping[str, Any]],
        place: Callable[[int], str] = lambda row: f"row {row} (counted from 0)",
    ) -> Labels:
        """The labels of these rows. `place` names the location of a row, given its position here, for messages.

        Raises: DataError when a row lacks a column that others have, or a flag is neither true nor false.
        """
        present = self.present(rows)

        def column(key: str, kind: Callable[[Any], Any]) -> Any:
            name = getattr(self, key)
            if name not in present:
                return None
            return np.array([_value(row, name, key, kind, number, place) for number, row in enumerate(rows)])

        return Labels(
            column("family", _text),
            column("skill", _text),
            column("clean", _flag),
            column("lookalike", _flag),
        )

    def named(self) -> dict[str, str]:
        """Column names by key, without null ones."""
        return {key: name for key in KEYS if (name := getattr(self, key)) is not None}

    def present(self, rows: Sequence[Mapping[str, Any]]) -> set[str]:
        """The named columns that any row has."""
        return {name for name in self.named().values() if any(name in row for row in rows)}


def _value(
    row: Mapping[str, Any],
    name: str,
    key: str,
    kind: Callable[[Any], Any],
    number: int,
    place: Callable[[int], str],
) -> Any:
    if name not in row:
        raise DataError(
            f"has no column '{name}' (truth.{key}), which other rows have",
            where=place(number),
            fix=f"Label every row, or set truth.{key}=null; truth=null uses no label.",
        )
    try:
        return kind(row[name])
    except ValueError as error:
        raise DataError(
            f"column '{name}' (truth.{key}) holds {row[name]!r}, which is neither true nor false",
            where=place(number),
            fix=f"Write true or false, yes or no, 1 or 0; or set truth.{key}=null.",
        ) from error


def _text(value: Any) -> str:
    """A label as text; empty for a missing value: null, NaN, or blank text."""
    missing = value is None or (isinstance(value, float) and math.isnan(value))
    return "" if missing or not str(value).strip() else str(value)


def _flag(value: Any) -> bool:
    """A label as a flag. Raises: ValueError when it is neither true nor false."""
    if isinstance(value, (bool, int, float, np.bool_, np.integer)) and value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else ""
    if word not in FLAGS:
        raise ValueError(value)
    return FLAGS[word]


def unlabelled(labels: Labels, targets: Sequence[str]) -> list[str]:
    """The targets without a row whose family is their name."""
    return [name for name in targets if labels.family is not None and name not in labels.family]


def measure(
    labels: Labels,
    chosen: Sequence[int],
    targets: Sequence[str],
    scores: Mapping[str, npt.NDArray[np.floating[Any]]] | None = None,
) -> dict[str, float]:
    """Quality measures of a selection, each in [0, 1]. Undefined measures are left out.

    - precision: the share of selected rows in target.
    - base_rate: the share of the pool in target.
    - clean: the share of selected rows that are well-formed and correct.
    - lookalike: the share of selected rows that resemble a target without being in it.
    - coverage: the effective number of the targets' skills in the selection (the exponential of their entropy),
      divided by the number of their skills in the pool. Rows without a skill are left out.
    - auc: the probability that a row in target outscores another row, averaged over the score columns; 0.5 is chance.
    - precision each, with several targets: the precision of an equally large selection by each target's own column,
      averaged.

    When no row's family is the name of some target, the rows in target are unknown and only clean is defined.
    """
    rows = np.asarray(list(chosen), dtype=np.int64)
    found: dict[str, float] = {}
    known = bool(targets) and not unlabelled(labels, targets)
    if known and labels.family is not None:
        found |= _in_target(labels.family, labels.skill, rows, targets, scores or {})
    if labels.clean is not None:
        found["clean"] = _share(labels.clean[rows])
    if labels.lookalike is not None and known:
        found["lookalike"] = _share(_decoys(labels.lookalike, labels.family, targets)[rows])
    return {name: value for name, value in found.items() if math.isfinite(value)}


def evidence(labels: Labels, ids: Sequence[str], targets: Sequence[str]) -> str:
    """The digest of all that `measure` reads of the labels for these targets, for rows `ids` [N] in any order."""
    names = np.asarray(list(targets), dtype=np.str_)
    columns: list[npt.NDArray[Any]] = [np.asarray(ids)]
    if labels.family is not None:
        in_target = np.isin(labels.family, names)
        columns.append(np.where(in_target, labels.family, ""))
        if labels.skill is not None:
            columns.append(np.where(in_target, labels.skill, ""))
    if labels.clean is not None:
        columns.append(labels.clean)
    if labels.lookalike is not None:
        columns.append(_decoys(labels.lookalike, labels.family, targets))
    present = [name for name in KEYS if getattr(labels, name) is not None]
    rows = sorted(json.dumps(row) for row in zip(*(column.tolist() for column in columns), strict=True))
    return digest_lines([*present, *rows])


def _in_target(
    family: npt.NDArray[np.str_],
    skill: npt.NDArray[np.str_] | None,
    rows: npt.NDArray[np.int64],
    targets: Sequence[str],
    scores: Mapping[str, npt.NDArray[np.floating[Any]]],
) -> dict[str, float]:
    """The measures that depend on which rows are in target; NaN when undefined."""
    in_target = np.isin(family, list(targets))
    found = {"precision": _share(in_target[rows]), "base_rate": _share(in_target)}
    if skill is not None:
        found["coverage"] = _coverage(skill[rows][in_target[rows]], skill[in_target])
    columns = {name: values for name, values in scores.items() if name in targets}
    if columns:
        found["auc"] = float(np.mean([_auc(values, family == name) for name, values in columns.items()]))
    if len(columns) > 1:
        tops = [_top(values, len(rows), family == name) for name, values in columns.items()]
        found["precision each"] = float(np.mean(tops))
    return found


def _decoys(
    marked: npt.NDArray[np.bool_], family: npt.NDArray[np.str_] | None, targets: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Which rows [N] resemble one of the targets without being in it."""
    if family is None:
        return marked
    looks_like = np.isin(family, [f"{LOOKALIKE}{name}" for name in targets])
    of_any = ~np.strings.startswith(family, LOOKALIKE)
    decoys: npt.NDArray[np.bool_] = marked & ~np.isin(family, list(targets)) & (looks_like | of_any)
    return decoys


def _share(flags: npt.NDArray[np.bool_]) -> float:
    return float(flags.mean()) if len(flags) else float("nan")


def _top(values: npt.NDArray[np.floating[Any]], count: int, positive: npt.NDArray[np.bool_]) -> float:
    """The share of positives among the `count` highest values."""
    places = lowest_first(-np.where(np.isfinite(values), values, -np.inf))[:count]
    return _share(positive[places])


def _coverage(chosen: npt.NDArray[np.str_], available: npt.NDArray[np.str_]) -> float:
    """The coverage of the target's skills by the chosen rows: 0 without such rows, NaN without known skills."""
    known, kinds = chosen[chosen != ""], len(np.unique(available[available != ""]))
    if not kinds:
        return math.nan
    if not len(known):
        return math.nan if len(chosen) else 0.0
    _, counts = np.unique(known, return_counts=True)
    share = counts / counts.sum()
    return math.exp(-float(np.sum(share * np.log(share)))) / kinds


def _auc(values: npt.NDArray[np.floating[Any]], positive: npt.NDArray[np.bool_]) -> float:
    """The normalised Mann-Whitney U statistic, ties counted half; rows without a score are ignored."""
    scored = np.isfinite(values)
    ranks, wins = mean_ranks(values[scored]), positive[scored]
    n, m = int(wins.sum()), int((~wins).sum())
    if not n or not m:
        return float("nan")
    return float((ranks[wins].sum() - n * (n + 1) / 2) / (n * m))
