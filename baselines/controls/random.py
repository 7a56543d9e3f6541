"""Random baselines: a uniform draw, and one whose rows match another method's selection in length.

Shapes: N rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_intervals
from nait.core.contracts import Extractor, Requests, Scorer, check_targets, content_of, is_by_row, version_of
from nait.core.dataset.examples import Pool, Target
from nait.core.dataset.token_table import trainable
from nait.core.ranking.orders import BestRank, RoundRobin
from nait.core.ranking.score_table import ScoreTable
from nait.signals.specs.activations import Signal


@dataclass(frozen=True)
class Random:
    """A uniform draw in [0, 1) for each row, from `seed` and its id: independent of the file's order."""

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


WIDTH = 0.05
"""Relative width of a length bin."""


@dataclass(frozen=True)
class LengthMatched:
    """Random rows with the lengths of the rows that another method, `like`, ranks: the first k match its first k.

    Each row that `like` ranks is replaced by a random row from the same bin of token lengths (relative width WIDTH).
    Lengths are those that the model reads, cut at `max_length`: training on the rows sees no more of them.
    This control has the same gain as `like` if the gain comes from length alone. Several columns are ranked by their
    best rank, and columns of single reference rows (RDS+) in turn, as the method's preset ranks them.
    """

    like: Scorer
    seed: int = 0

    @property
    def _in_turn(self) -> bool:
        """Whether the other method has a column for each reference row."""
        return getattr(self.like, "reduce", None) == "none"

    @property
    def version(self) -> int:
        """Since 2 (columns of single reference rows: 3), no row that cannot be selected has a place."""
        return 3 if self._in_turn else 2

    def content(self) -> list[Any] | None:
        """The other method's version and content. Together with its config, they determine its scores."""
        version, content = version_of(self.like), content_of(self.like)
        return [version, content] if version > 1 or content else None

    @property
    def by_row(self) -> bool:
        """Whether the other method's scores depend on the rows' numbers."""
        return is_by_row(self.like)

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: NaitError for targets that the other method cannot score."""
        check_targets(self.like, targets)

    def requests(
        self, pool: Pool, targets: Sequence[Target], extractor: Extractor
    ) -> Sequence[tuple[Extractor, Pool, Sequence[Signal]]]:
        """The signals that the other method measures."""
        return self.like.requests(pool, targets, extractor) if isinstance(self.like, Requests) else []

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        """One column for all targets: minus the position at which a row is drawn; the first row scores highest."""
        table = self.like.score(pool, targets, extractor)
        able_n = trainable(pool, extractor.tokens(pool))
        unable = {key: "" for key, able in zip(pool.ids, able_n, strict=True) if not able}
        ranking = (RoundRobin() if self._in_turn else BestRank())(table.without(unable))
        lengths = extractor.lengths(pool)
        draws = np.array(unit_intervals("length matched", self.seed, keys=pool.ids))
        drawn = matched(ranking.tolist(), lengths, draws)
        values = np.full(len(pool), np.nan)
        values[drawn] = -np.arange(len(drawn), dtype=np.float64)
        return ScoreTable(
            ids=pool.ids,
            targets=("any",),
            values=values[:, None],
            unit="places",
            definition=f"random, as long as: {table.definition}; seed {self.seed}",
            reasons={
                key: "not drawn" for key, value in zip(pool.ids, values, strict=True) if np.isnan(value)
            },
        )


def matched(
    ranking: Sequence[int], lengths: npt.NDArray[np.int64], draws: npt.NDArray[np.float64]
) -> npt.NDArray[np.int64]:
    """A random permutation of `ranking` whose i-th row falls into the length bin of the ranking's i-th row.

    `draws` [N] in [0, 1) order the rows within a bin.
    """
    bins = np.floor(np.log(np.maximum(lengths, 1)) / np.log(1 + WIDTH)).astype(np.int64)
    stacks: dict[int, list[int]] = {}
    for row in sorted(ranking, key=lambda row: draws[row]):
        stacks.setdefault(int(bins[row]), []).append(row)
    return np.asarray([stacks[int(bins[row])].pop() for row in ranking], dtype=np.int64)
