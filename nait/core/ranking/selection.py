"""Selections: the first rows of a ranking, as many as the budget allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nait.core.addresses import digest_lines
from nait.core.errors import NaitError
from nait.core.ranking.orders import Ranking
from nait.core.ranking.score_table import ScoreTable


@dataclass(frozen=True)
class Selection:
    """The selected ids in rank order, their row numbers in the pool, and their answer tokens (as read) in total."""

    ids: tuple[str, ...]
    rows: tuple[int, ...]
    answer_tokens: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """The digest of the set of ids. Training does not depend on their order."""
        return digest_lines(sorted(self.ids))


def cut(table: ScoreTable, ranking: Ranking, count: int, answer_tokens: npt.NDArray[np.int64]) -> Selection:
    """The first `count` rows of `ranking`; every ranked row when the table is exhaustive.

    Raises: NaitError when no row is eligible.
    """
    if not len(ranking):
        counts = ", ".join(f"{count} {reason}" for reason, count in table.ineligible_counts().items())
        raise NaitError(
            f"no row is eligible ({counts})", where="selector", fix="Check the pool and model.max_length."
        )
    chosen = ranking if table.exhaustive else ranking[:count]
    rows = tuple(chosen.tolist())
    return Selection(tuple(table.ids[row] for row in rows), rows, int(answer_tokens[chosen].sum()))
