"""The oracle: a selector that uses the embedded world's ground truth. It is the upper reference in comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.core.addresses import unit_interval
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, Target
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.score_table import ScoreTable
from nait.nano import world


@dataclass(frozen=True)
class Oracle:
    """Clean in-target rows first, in a seeded order, then the rest. Only for pools of the embedded world."""

    size: int
    pool_seed: int = 0
    seed: int = 0

    def check(self, targets: Sequence[Target]) -> None:
        """Raises: DataError if there is no target, or one that the world does not define."""
        if not targets:
            raise DataError("the oracle needs a target", where="target", fix="Set target=nano.")
        for target in targets:
            if target.name not in world.capabilities():
                raise DataError(
                    "the embedded world has no such target",
                    where=f"target '{target.name}'",
                    fix="Set target=nano.",
                )

    def score(self, pool: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:  # noqa: ARG002
        """One column per target: 1 to 2 for clean in-target rows, 0 to 1 for the rest.

        Raises: ConfigError if the pool is not the world's pool of this size and seed.
        """
        self.check(targets)
        rows = world.pool_rows(self.size, self.pool_seed)
        draws = {row["id"]: unit_interval("oracle", self.seed, row["id"]) for row in rows}
        left_out = sum(pool.skipped.values())
        if len(pool) + left_out != len(draws) or not draws.keys() >= set(pool.ids):
            raise ConfigError(
                f"pool '{pool.name}' is not the world's pool of this size and seed",
                where="selector=oracle",
                fix="Use data=nano without overriding its other keys.",
            )
        columns = []
        for target in targets:
            wanted = set(world.oracle_ids(rows, target.name))
            columns.append([draws[key] + (key in wanted) for key in pool.ids])
        return ScoreTable(
            ids=pool.ids,
            targets=tuple(target.name for target in targets),
            values=np.asarray(columns).T,
            unit="1",
            definition="clean and in target, by the ground truth",
        )
