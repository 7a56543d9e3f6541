"""Subsamples of a pool and of targets, drawn by id, and extrapolation from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.addresses import unit_interval, unit_intervals
from nait.core.dataset.examples import Example, Pool, Target, fingerprint
from nait.core.estimates.plans import Ints
from nait.core.ranking.orders import Ranking
from nait.core.ranking.rank_statistics import lowest_first
from nait.core.ranking.score_table import ScoreTable


def draw(pool: Pool, rows: int, *, after: int = 0) -> Pool:
    """At most `rows` rows drawn by id, after skipping the first `after`. A larger draw contains a smaller one."""
    if len(pool) <= rows and not after:
        return pool
    draws = np.array(unit_intervals("plan", keys=pool.ids))
    drawn = (pool.examples[row] for row in lowest_first(draws)[after : after + rows])
    return part_of(pool, sorted(drawn, key=lambda example: example.id))


def part_of(pool: Pool, examples: Sequence[Example]) -> Pool:
    return replace(
        pool, name=f"{pool.name} in part", examples=tuple(examples), fingerprint=fingerprint(examples)
    )


def draw_target(target: Target, rows: int) -> Target:
    if len(target) <= rows:
        return target
    drawn = sorted(target.examples, key=lambda example: unit_interval("plan", example.id))[:rows]
    return replace(target, examples=tuple(drawn), fingerprint=fingerprint(drawn))


def eligible(table: ScoreTable) -> Ranking:
    """All eligible rows in pool order: sorting so few rows takes no measurable time."""
    return np.flatnonzero(table.eligible)


@dataclass(frozen=True)
class FirstRow:
    """A budget of one row at most, since the user's budget may exceed the rows of a rehearsal."""

    label: str = "1 row"

    def __call__(self, ranking: Ranking, answer_tokens: Ints) -> int:  # noqa: ARG002
        return min(1, len(ranking))


def bytes_of(path: Path, sample: int, rows: int) -> int:
    """Bytes of a saved array for all rows. An array without a per-row axis keeps its size."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    size = path.stat().st_size
    return size + array.nbytes * (rows - sample) // sample if array.shape[0] == sample else size


def updates_rows(recipe: Mapping[str, Any]) -> int:
    """Rows in one update of a recipe."""
    return int(recipe.get("batch_size", 1))
