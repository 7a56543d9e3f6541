"""Score tables: what a scorer says of each row, for each target.

Shapes: N rows, T targets. NaN means "not eligible", with the reason beside it; it is never ranked.
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

    `unit` and `definition` say what a number means. `reasons` maps the id of a row that no column can
    rank to why. `exhaustive` marks the full-data reference, whose selection is every eligible row.
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

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.ids), len(self.targets)):
            raise ValueError(
                f"scores have shape {self.values.shape}, not {(len(self.ids), len(self.targets))}"
            )
        if np.isinf(self.values).any():
            raise NaitError(
                "a score is infinite", mend="Use NaN with a reason for a row that cannot be scored."
            )

    @property
    def eligible(self) -> npt.NDArray[np.bool_]:
        """[N] whether any column can rank the row."""
        return np.asarray(~np.isnan(self.values).all(axis=1))

    def column(self, target: str) -> Floats:
        """[N] the scores for one target."""
        return self.values[:, self.targets.index(target)]

    def without(self, reasons: Mapping[str, str]) -> ScoreTable:
        """This table with the named rows made ineligible, each with its reason."""
        if not reasons:
            return self
        values = self.values.copy()
        values[[i for i, key in enumerate(self.ids) if key in reasons]] = np.nan
        return replace(self, values=values, reasons={**self.reasons, **reasons})

    def ineligible_counts(self) -> dict[str, int]:
        """How many rows are not eligible, by reason; every such row is counted once."""
        keys = [key for key, ok in zip(self.ids, self.eligible, strict=True) if not ok]
        return dict(sorted(Counter(self.reasons.get(key, "no score") for key in keys).items()))


@dataclass(frozen=True)
class Contributions:
    """Each layer's part in the scores for one target; the parts of a row add up to its score.

    `parts` [n, L] are those of some rows, `means` [L] the means over all rows that could be chosen. `layers` [L] are
    the layers' numbers.
    """

    target: str
    layers: tuple[int, ...]
    parts: Floats
    means: Floats


def id_order(ids: Sequence[str]) -> npt.NDArray[np.int64]:
    """[N] the rows in the order of their ids: how every tie is broken. Quick where they stand so, as a pool's do."""
    return np.argsort(np.asarray(ids, dtype=object), kind="stable")
