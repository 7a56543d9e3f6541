"""Score tables: a scorer's number for each row and target.

Shapes: N rows, T targets. NaN marks an ineligible row, which is never ranked; `reasons` explains it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.errors import NaitError

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ScoreTable:
    """Scores [N, T] of the rows `ids` for the columns `targets`.

    `unit` and `definition` explain the numbers. `reasons` maps the id of a row without any score to the reason.
    `exhaustive` marks the full-data reference, whose selection is every eligible row. `stated_cost`: the cost of
    scores that were computed elsewhere, as the user states it: `seconds` and `money`.
    """

    ids: tuple[str, ...]
    targets: tuple[str, ...]
    values: Floats
    unit: str
    definition: str
    reasons: Mapping[str, str] = field(default_factory=dict)
    diagnostics: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    exhaustive: bool = False
    stated_cost: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.ids), len(self.targets)):
            raise ValueError(
                f"scores have shape {self.values.shape}, not {(len(self.ids), len(self.targets))}"
            )
        if np.isinf(self.values).any():
            raise NaitError(
                "a score is infinite", fix="Use NaN with a reason for a row that cannot be scored."
            )

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """Which rows [N] have a score in any column."""
        return np.asarray(~np.isnan(self.values).all(axis=1))

    def column(self, target: str) -> Floats:
        """Scores [N] for one target."""
        return self.values[:, self.targets.index(target)]

    def without(self, reasons: Mapping[str, str]) -> ScoreTable:
        """This table with the named rows made ineligible, each with its reason."""
        if not reasons:
            return self
        values = self.values.copy()
        values[[i for i, key in enumerate(self.ids) if key in reasons]] = np.nan
        return replace(self, values=values, reasons={**self.reasons, **reasons})

    def ineligible_counts(self) -> dict[str, int]:
        """The number of ineligible rows by reason; each row counts once."""
        keys = [key for key, ok in zip(self.ids, self.eligible, strict=True) if not ok]
        return dict(sorted(Counter(self.reasons.get(key, "no score") for key in keys).items()))


@dataclass(frozen=True)
class Contributions:
    """Contributions of each layer to the scores for one target. A row's contributions add up to its score.

    `parts` [n, L]: contributions for some rows. `means` [L]: means over all candidate rows. `layers` [L]: layer
    numbers.
    """

    target: str
    layers: tuple[int, ...]
    parts: Floats
    means: Floats


def id_order(ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """Row numbers [N] in the order of their ids, which breaks every tie. Fast when the ids are already sorted."""
    return np.argsort(np.asarray(ids, dtype=object), kind="stable")
