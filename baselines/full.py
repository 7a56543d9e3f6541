"""The full pool: a reference, not an upper bound."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nait.core.contracts import Extractor
from nait.core.examples import Pool, Target
from nait.core.scores import ScoreTable


@dataclass(frozen=True)
class Full:
    """Every eligible row, whatever the budget says."""

    exhaustive: ClassVar[bool] = True

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column of ones, marked as exhaustive."""
        return ScoreTable(
            ids=pool.ids,
            targets=("any",),
            values=np.ones((len(pool), 1)),
            unit="1",
            definition="every row",
            exhaustive=True,
        )
