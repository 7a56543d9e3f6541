"""Score tables with one column, for methods that use no target.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.examples import Pool
from nait.core.ranking.score_table import ScoreTable

Floats = npt.NDArray[np.float64]
Reasons = Mapping[str, npt.NDArray[np.bool_]]


def one_column(
    pool: Pool, values_n: Floats, unrankable: Reasons, *, unit: str, definition: str
) -> ScoreTable:
    """A table with the column `values_n`, shared by all targets. `unrankable`: reason -> mask [N] of rows.

    A row gets the first reason whose mask covers it. A value that is not finite always counts as unrankable.
    """
    kept = np.array(values_n, dtype=np.float64)
    reasons: dict[str, str] = {}
    for reason, mask in {**unrankable, "not a finite number": ~np.isfinite(kept)}.items():
        for row in np.flatnonzero(mask):
            reasons.setdefault(pool.ids[row], reason)
        kept[mask] = np.nan
    return ScoreTable(
        ids=pool.ids,
        targets=("any",),
        values=kept[:, None],
        unit=unit,
        definition=definition,
        reasons=reasons,
    )


def mean_nll(losses_n2: npt.NDArray[Any]) -> Floats:
    """Nats per predicted token [N], from sums and counts [N, 2]; NaN where no token is predicted."""
    losses = np.asarray(losses_n2, dtype=np.float64)
    counts = losses[:, 1]
    return np.where(counts > 0, losses[:, 0] / np.maximum(counts, 1), np.nan)
