"""Pools, targets and the model of the embedded world, generated in memory from a seed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nait.core.dataset.duplicates import resolve_duplicates
from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, chosen_names, gather
from nait.core.errors import ConfigError
from nait.models.loading import Dtype, LocalModel
from nait.nano import world

MODEL = Path(__file__).resolve().parent / "model"


@dataclass(frozen=True)
class WorldRows:
    """The world's rows, generated on demand; the most recent pool is cached."""

    size: int
    seed: int

    def lines(self, rows: Sequence[int]) -> Iterator[str]:
        """The JSON text of these rows, ground truth included, in this order."""
        made = _rows(self.size, self.seed)
        for row in rows:
            yield json.dumps(made[row], ensure_ascii=False)


def nano_pool(size: int = 5000, seed: int = 0, name: str = "nano", duplicates: str = "first") -> Pool:
    """`size` rows of the world, without their ground truth. `duplicates` is as for `read_pool`.

    Raises: ConfigError if `size` is too small.
    """
    if size < world.SMALLEST_POOL:
        fix = f"Give {world.SMALLEST_POOL} or more, so that every family has rows."
        raise ConfigError(f"{size} is below {world.SMALLEST_POOL}", where="data.size", fix=fix)
    pool = _pool(size, seed, name)
    return resolve_duplicates(
        pool, duplicates, group="data", place=lambda row: f"row {row} of the world's {size}"
    )


@lru_cache(maxsize=1)
def _rows(size: int, seed: int) -> tuple[world.Row, ...]:
    """The rows of a pool, shared by the jobs of a sweep. Do not modify them."""
    return tuple(world.pool_rows(size, seed))


@lru_cache(maxsize=1)
def _pool(size: int, seed: int, name: str) -> Pool:
    examples = [_example(row, place) for place, row in enumerate(_rows(size, seed))]
    return gather(name, examples, source=WorldRows(size, seed))


def nano_targets(capabilities: str | Sequence[str] | None, rows: int = 32, seed: int = 0) -> list[Target]:
    """A reference set of `rows` clean rows for each capability; None means all capabilities."""
    names = chosen_names(capabilities, world.capabilities())
    return [
        as_target(
            gather(name, [_example(row, i) for i, row in enumerate(world.reference_rows(name, rows, seed))])
        )
        for name in names
    ]


def _example(row: dict[str, Any], place: int) -> Example:
    turn = Turn(instruction=row["instruction"], input=row["input"], answer=row["output"])
    return Example(id=str(row["id"]), turns=(turn,), row=place)


def nano_model(
    name: str = "nano", dtype: Dtype = "float32", device: str = "cpu", max_length: int = 256
) -> LocalModel:
    """The pretrained model that comes with the package."""
    return LocalModel(str(MODEL), name=name, dtype=dtype, device=device, max_length=max_length)
