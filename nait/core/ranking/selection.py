"""A selection: the rows that an order ranked first and a budget cut off."""

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
    """The selected ids in rank order, and their rows in the pool they came from."""

    ids: tuple[str, ...]
    rows: tuple[int, ...]
    answer_tokens: int

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def digest(self) -> str:
        """What training depends on: the set of ids, not their order."""
        return digest_lines(sorted(self.ids))


def cut(table: ScoreTable, ranking: Ranking, count: int, answer_tokens: npt.NDArray[np.int64]) -> Selection:
    """The first `count` rows of `ranking`; of an exhaustive table, every ranked row."""
    if not len(ranking):
        counts = ", ".join(f"{count} {reason}" for reason, count in table.ineligible_counts().items())
        raise NaitError(
            f"no row is eligible ({counts})", where="selector", mend="Check the pool and model.max_length."
        )
    chosen = ranking if table.exhaustive else ranking[:count]
    rows = tuple(chosen.tolist())
    return Selection(tuple(table.ids[row] for row in rows), rows, int(answer_tokens[chosen].sum()))
