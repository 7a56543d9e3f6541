"""Differences: how small a true one between two methods an evaluation can find, before anything is run.

The test is that of the leaderboards: a mean of paired outcomes over S seeds and I items, with

    difference* = mean + t_f sqrt(v / S) + z sqrt(w / I),  f = S - 1,

v the variance of the seeds' means, which the test must estimate, w that of the items' own differences. Right or wrong
outcomes that disagree on a share d of the items have w <= d. What is said here is the careful side: seeds share their
items, so that more of them do not make w smaller, as they do where answers change with the seed; and no other method
stands in the table to lend v its degrees of freedom (`sweeps/statistics.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
POWER = 0.8
_NORMAL = NormalDist()
_X = np.linspace(-9.0, 9.0, 3601)
_CDF = np.array([_NORMAL.cdf(x) for x in _X])
_HALVINGS = 30


@dataclass(frozen=True)
class Noise:
    """What blurs a difference. `disagreement`: the mean square of two methods' paired outcomes' differences, for
    right or wrong the share on which they disagree. `seed_sd`: of their mean difference, from seed to seed.

    `pairs`, `seed_pairs`: from how many pairs of methods each was measured; 0: it is assumed.
    """

    disagreement: float = 0.25
    seed_sd: float = 0.02
    pairs: int = 0
    seed_pairs: int = 0


@dataclass(frozen=True)
class Detectable:
    """The smallest true difference that is found with power 0.8 at 5 %. `of` names the items."""

    of: str
    items: int
    seeds: int
    noise: Noise
    difference: float


def foresee(items: Mapping[str, int], seeds: int, noises: Mapping[str, Noise]) -> tuple[Detectable, ...]:
    """What the mean over all items can show; and the smallest of the tasks, where there are several.

    `items`: a task -> how many it has. `noises`: by task, that of all items under "".
    """
    if not items:
        return ()
    places = {"": sum(items.values())}
    if len(items) > 1:
        smallest = min(items, key=lambda name: (items[name], name))
        places[smallest] = items[smallest]
    found = []
    for name, count in places.items():
        noise = noises.get(name, Noise())
        value = detectable_before(count, seeds, disagreement=noise.disagreement, seed_sd=noise.seed_sd)
        found.append(Detectable(name or "all items", count, seeds, noise, value))
    return tuple(found)


def describe(found: tuple[Detectable, ...]) -> str:
    """One line of it, with what it rests on."""
    first = found[0]
    shown = "; ".join(f"{one.difference:.3f} on {one.of} ({one.items:,})" for one in found)
    seeds = f"{first.seeds} seeds" if first.seeds > 1 else "one seed, whose own spread is not in it"
    return f"Smallest difference found with power 0.8, with {seeds}: {shown}. {_rests_on(first)}"


def _rests_on(one: Detectable) -> str:
    noise = one.noise
    said = [(noise.pairs, f"two methods disagree on {noise.disagreement:.0%} of all items")]
    if one.seeds > 1:
        said.append((noise.seed_pairs, f"seeds spread their difference by {noise.seed_sd:.3f}"))
    groups = {"Assumed": [text for pairs, text in said if not pairs]}
    groups["From the store"] = [text for pairs, text in said if pairs]
    return " ".join(f"{word}: {', '.join(texts)}." for word, texts in groups.items() if texts)


def detectable_before(items: int, seeds: int, *, disagreement: float, seed_sd: float) -> float:
    """The smallest true difference found with power 0.8 at 5 %. One seed: items alone blur it.

    The power is that over all estimates of v that the seeds may give, not the one at v itself: few seeds are often
    lucky or unlucky in it.
    """
    over_items = math.sqrt(disagreement / items)
    if seeds < 2:
        return (_NORMAL.inv_cdf(1 - ALPHA / 2) + _NORMAL.inv_cdf(POWER)) * over_items
    over_seeds = seed_sd / math.sqrt(seeds)
    error = math.hypot(over_seeds, over_items)
    if error == 0.0:
        return 0.0
    s, weight = _estimates(seeds - 1)
    half = _half_widths(s * over_seeds, over_items, s, weight)
    low, high = 0.0, 2.0 * float(half.max()) + 9.0 * error
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = float(weight @ _below((middle - half) / error)) >= POWER
        low, high = (low, middle) if enough else (middle, high)
    return high


def _estimates(freedom: int) -> tuple[Floats, Floats]:
    """[K] standard deviations that so few degrees of freedom may estimate of a true one of 1, and their chances."""
    s: Floats = (np.arange(200, dtype=np.float64) + 0.5) * 0.025
    chance: Floats = np.exp((freedom - 1) * np.log(s) - freedom * (s**2 - 1) / 2)
    return s, chance / float(chance.sum())


def _half_widths(over_seeds_k: Floats, over_items: float, s: Floats, weight: Floats) -> Floats:
    """[K] half of the interval t_f * over_seeds + z * over_items for each estimate of the seeds' part."""
    spread_kk = np.hypot(over_seeds_k[:, None] / s, over_items)
    low, high = np.zeros(len(s)), 9.0 * spread_kk.max(axis=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        beyond = 2 * _below(-middle[:, None] / np.maximum(spread_kk, 1e-300)) @ weight
        low, high = np.where(beyond > ALPHA, middle, low), np.where(beyond > ALPHA, high, middle)
    return np.asarray(high)


def _below(x: Floats) -> Floats:
    """The standard normal's share below x."""
    return np.asarray(np.interp(x, _X, _CDF))
