"""Random selection: the control in every table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.core.address import unit_intervals
from nait.core.contracts import Extractor
from nait.core.examples import Pool, Target
from nait.core.scores import ScoreTable


@dataclass(frozen=True)
class Random:
    """A draw in [0, 1) for each row from `seed` and its id: the same subset whatever the file's order."""

    seed: int = 0

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column for all targets."""
        draws = unit_intervals("random", self.seed, keys=pool.ids)
        return ScoreTable(
            ids=pool.ids,
            targets=("any",),
            values=np.asarray(draws)[:, None],
            unit="1",
            definition=f"uniform draw, seed {self.seed}",
        )
