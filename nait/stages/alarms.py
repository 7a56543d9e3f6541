"""Alarms on score columns: constant, mostly missing, or a mirror of length. Loud, never silent."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.errors import NaitError
from nait.core.rankings import spearman
from nait.core.scores import ScoreTable

LOUD_LENGTH_RHO = 0.5
LOUD_MISSING_SHARE = 0.2


@dataclass(frozen=True)
class Inspection:
    """Spearman's rho of each column with the token length, and what must be said aloud."""

    length_correlation: dict[str, float | None]
    warnings: tuple[str, ...]


def inspect(table: ScoreTable, lengths: npt.NDArray[Any]) -> Inspection:
    """What is wrong with a table's columns. `lengths` [N] in tokens.

    Raises: NaitError for a column that gives every row the same score, since any ranking of it is arbitrary.
    """
    warnings: list[str] = []
    correlations: dict[str, float | None] = {}
    for name in table.targets:
        values = np.asarray(table.column(name), dtype=np.float64)
        finite = values[np.isfinite(values)]
        missing = 1 - len(finite) / max(1, len(values))
        if missing > LOUD_MISSING_SHARE:
            warnings.append(f"{name}: {missing:.0%} of the rows have no score.")
        if table.exhaustive:
            correlations[name] = None
            continue
        if len(finite) > 1 and float(finite.max()) == float(finite.min()):
            raise NaitError(
                f"every row has the same score ({finite[0]:.6g})",
                where=f"score column '{name}'",
                mend="Nothing can be ranked by it: check the selector's settings and the target.",
            )
        rho = spearman(values, lengths)
        correlations[name] = None if math.isnan(rho) else round(rho, 4)
        if abs(rho) > LOUD_LENGTH_RHO:
            warnings.append(
                f"{name}: the score follows length (Spearman rho {rho:+.2f} with tokens): "
                "compare with a length-matched control before crediting the content."
            )
    return Inspection(correlations, tuple(warnings))
