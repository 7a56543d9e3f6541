"""Traits: properties of a pool's rows by their texts, and the composition of a subset.

Shapes: N rows of a pool, n rows of a subset.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

TOPIC, LANGUAGE = "topic", "language"
CODE, REPEATED_QUESTION, REPEATED_ANSWER = "code", "repeated question", "repeated answer"
CHARACTERS = "characters"


@dataclass(frozen=True)
class Composition:
    """The composition of a set of rows; all values are NaN when it is empty.

    `shares`: label -> value -> share of the rows, summing to 1, the pool's most frequent value first. `marks`: mark
    -> share of the rows that have it. `means`: size -> mean over the rows.
    """

    rows: int
    shares: Mapping[str, Mapping[str, float]]
    marks: Mapping[str, float]
    means: Mapping[str, float]


@dataclass(frozen=True)
class Traits:
    """The traits of the rows `ids`, each [N].

    `labels` are categories, such as the topic; `marks` are flags, such as containing code; `sizes` are numbers, such
    as the number of characters.
    """

    ids: tuple[str, ...]
    labels: Mapping[str, npt.NDArray[np.str_]]
    marks: Mapping[str, npt.NDArray[np.bool_]]
    sizes: Mapping[str, npt.NDArray[np.float64]]

    def __post_init__(self) -> None:
        for name, values in (*self.labels.items(), *self.marks.items(), *self.sizes.items()):
            if values.shape != (len(self.ids),):
                raise ValueError(f"trait '{name}' has shape {values.shape}, not {(len(self.ids),)}")

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The row number of each id."""
        return {key: row for row, key in enumerate(self.ids)}

    def composition(self, chosen: Sequence[str] | None = None) -> Composition:
        """The composition of the rows with these ids (None: the whole pool). Raises: KeyError for an unknown id."""
        rows = np.arange(len(self.ids))
        if chosen is not None:
            rows = np.fromiter((self.places[key] for key in chosen), dtype=np.int64, count=len(chosen))
        return Composition(
            rows=len(rows),
            shares={name: _shares(values, rows) for name, values in self.labels.items()},
            marks={name: _mean(values, rows) for name, values in self.marks.items()},
            means={name: _mean(values, rows) for name, values in self.sizes.items()},
        )


def chance_spread(share: float, rows: int, pool_rows: int) -> float:
    """The standard deviation of a value's share among `rows` random rows of a pool where its share is `share`.

    Rows are drawn without replacement: the standard deviation of a hypergeometric count, divided by `rows`.
    """
    if rows < 1 or pool_rows < 2:
        return 0.0
    return math.sqrt(share * (1 - share) / rows * (pool_rows - rows) / (pool_rows - 1))


def _shares(values: npt.NDArray[np.str_], rows: npt.NDArray[np.int64]) -> dict[str, float]:
    names, kinds, counts = np.unique(values, return_inverse=True, return_counts=True)
    found = np.bincount(kinds[rows], minlength=len(names))
    order = np.argsort(-counts, kind="stable")  # ties by name
    return {str(names[k]): float(found[k] / len(rows)) if len(rows) else math.nan for k in order}


def _mean(values: npt.NDArray[np.bool_] | npt.NDArray[np.float64], rows: npt.NDArray[np.int64]) -> float:
    return float(values[rows].mean()) if len(rows) else math.nan
