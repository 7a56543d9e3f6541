"""Differences: how small a true one between two methods an evaluation can find, before anything is run.

The test is the one of the leaderboards (`nait/core/statistics/significance.py`), corrected for as many comparisons
as the table will hold. A method and its control have equal spreads over seeds here. What nobody has measured is
assumed on the careful side: methods disagree on the same items whatever the seed, so that more seeds do not average
that away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nait.core.statistics.significance import ALPHA, Arm, smallest

FEWEST = 3
"""Seeds that establish a difference. One seed finds none; what three would find is said instead."""
LEAST_METHODS, LENT = 3, 0.5
"""As in `sweeps/stats/seed_spread.py`: from this many methods on, the control's spread is estimated apart from
theirs, and methods share degrees of freedom."""


@dataclass(frozen=True)
class Noise:
    """What blurs a difference. `disagreement`: the mean square of two methods' paired outcomes' differences, for
    right or wrong the share on which they disagree. `lasting`: the share of it that is the same at every seed.
    `seed_sd`: of their mean difference, from seed to seed.

    `pairs`, `seed_pairs`: from how many pairs of methods each was measured; 0: it is assumed.
    """

    disagreement: float = 0.25
    seed_sd: float = 0.02
    pairs: int = 0
    seed_pairs: int = 0
    lasting: float = 1.0


@dataclass(frozen=True)
class Comparisons:
    """What a table will hold: how many methods stand against one control, and how many differences are corrected."""

    methods: int = 1
    differences: int = 1


@dataclass(frozen=True)
class Detectable:
    """The smallest true difference found with power 0.8 at 5 % after correction. `of` names the items.

    `planned`: how many seeds there will be. `seeds`: with how many it is found: as planned, but three of one.
    """

    of: str
    items: int
    seeds: int
    noise: Noise
    difference: float
    planned: int
    comparisons: Comparisons


def foresee(
    items: Mapping[str, int], seeds: int, noises: Mapping[str, Noise], comparisons: Comparisons
) -> tuple[Detectable, ...]:
    """What the mean over all items can show; and the smallest of the tasks, where there are several.

    `items`: a task -> how many it has. `noises`: by task, that of all items under "".
    """
    if not items:
        return ()
    places = {"": sum(items.values())}
    if len(items) > 1:
        least = min(items, key=lambda name: (items[name], name))
        places[least] = items[least]
    used = seeds if seeds > 1 else FEWEST
    found = []
    for name, count in places.items():
        noise = noises.get(name, Noise())
        value = detectable_before(count, used, noise, comparisons)
        found.append(Detectable(name or "all items", count, used, noise, value, seeds, comparisons))
    return tuple(found)


def describe(found: tuple[Detectable, ...]) -> str:
    """One line of it, with what it rests on."""
    first = found[0]
    shown = "; ".join(f"{at_most_one(one.difference)} on {one.of} ({one.items:,})" for one in found)
    count = first.comparisons.differences
    family = f" after Holm's correction for {count} comparisons" if count > 1 else ""
    alone = "One seed finds no difference: its intervals are over items only. " if first.planned < 2 else ""
    said = f"Smallest true difference found with power 0.8{family}, with {first.seeds} seeds: {shown}."
    return f"{alone}{said} {_rests_on(first)}"


def at_most_one(difference: float) -> str:
    """The difference with three decimals; what is above 1 no two shares differ by."""
    return f"{difference:.3f}" if difference <= 1 else "above 1"


def _rests_on(one: Detectable) -> str:
    noise = one.noise
    said = [
        (noise.pairs, f"two methods disagree on {noise.disagreement:.0%} of all items"),
        (noise.seed_pairs, f"seeds spread their difference by {noise.seed_sd:.3f}"),
    ]
    groups = {"Assumed": [text for pairs, text in said if not pairs]}
    groups["From the store"] = [text for pairs, text in said if pairs]
    return " ".join(f"{word}: {', '.join(texts)}." for word, texts in groups.items() if texts)


def detectable_before(items: int, seeds: int, noise: Noise, comparisons: Comparisons) -> float:
    """The smallest true difference found with power 0.8 at 5 % after correction; infinite with one seed."""
    passing = (1 - noise.lasting) * noise.disagreement / items  # of a seed's mean, from single outcomes
    over_items = noise.lasting * noise.disagreement / items + passing / max(seeds, 1)
    variance = noise.seed_sd**2
    if comparisons.methods < LEAST_METHODS:
        sides = [Arm(variance, seeds - 1, passing, kept=0.5)]
    else:
        half = Arm(variance / 2, seeds - 1 + LENT, passing / 2)
        sides = [half, Arm(half.variance, seeds - 1, half.noise)]
    return smallest(over_items + 1 / items**2, sides, seeds, level=ALPHA / max(1, comparisons.differences))
