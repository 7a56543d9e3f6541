"""Reference points for the methods: the untrained base model, and the full pool (not an upper bound)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NoReturn

import numpy as np

from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError
from nait.core.ranking.score_table import ScoreTable


@dataclass(frozen=True)
class Base:
    """The base model: a job skips selection because `selects` is False."""

    selects: ClassVar[bool] = False

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> NoReturn:  # noqa: ARG002
        """Raises: ConfigError, always."""
        raise ConfigError(
            "the base model has no rows to train on", where="selector=base", fix="Choose another selector."
        )


@dataclass(frozen=True)
class Full:
    """Every eligible row, whatever the budget."""

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
