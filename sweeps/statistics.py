"""Paired statistics: a method against random on the same items and seeds.

Shapes: S seeds, I items. The bootstrap draws seeds and items anew, both with replacement, so its interval
holds for other seeds and other items alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

DRAWS = 4000
Outcomes = Mapping[str, float]
"""One run's items: an item's key (task and number) -> its value."""


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval; `excludes_zero` says whether the interval does."""

    value: float
    low: float
    high: float
    seeds: int
    items: int

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired(method: Mapping[int, Outcomes], control: Mapping[int, Outcomes]) -> npt.NDArray[np.float64] | None:
    """[S, I] differences over the seeds and items both have; None where they share none."""
    seeds = sorted(set(method) & set(control))
    if not seeds:
        return None
    runs = [outcomes for seed in seeds for outcomes in (method[seed], control[seed])]
    items = sorted(set.intersection(*(set(run) for run in runs)))
    if not items:
        return None
    return np.array([[method[seed][item] - control[seed][item] for item in items] for seed in seeds])


def bootstrap(d_si: npt.NDArray[np.floating[Any]], *, draws: int = DRAWS, seed: int = 0) -> Difference:
    """The mean of paired differences [S, I] with its percentile interval over items and seeds."""
    seeds, items = d_si.shape
    generator = np.random.default_rng(seed)
    w_ds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws) / seeds
    w_di = generator.multinomial(items, np.full(items, 1 / items), size=draws) / items
    means = np.einsum("ds,si,di->d", w_ds, d_si, w_di, optimize=True)
    low, high = np.percentile(means, [2.5, 97.5])
    return Difference(float(d_si.mean()), float(low), float(high), seeds, items)
