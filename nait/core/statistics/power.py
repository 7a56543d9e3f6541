"""Power analysis: the minimum detectable effect of an evaluation, before anything is run.

The test is the one that leaderboards use (`nait/core/statistics/significance.py`), corrected for the number of
comparisons in the table. A method and its control are assumed to vary equally over seeds. Quantities that were not
measured have conservative defaults: methods are assumed to disagree on the same items at every seed, so that more
seeds do not reduce the variance over items.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nait.core.statistics.significance import ALPHA, SeedVariance, minimum_difference

FEWEST = 3
"""The number of seeds to report for a single-seed job, which cannot detect any difference."""
LEAST_METHODS, PRIOR_FREEDOM = 3, 0.5
"""Equal to the constants of `sweeps/stats/seed_spread.py`, which a hub module may not import."""


@dataclass(frozen=True)
class Noise:
    """The variance of a difference between two methods.

    - `disagreement`: the mean squared difference of paired outcomes; for binary outcomes, the share of items on which
      the methods disagree.
    - `lasting`: the share of the disagreement that is the same at every seed.
    - `seed_sd`: the standard deviation of the mean difference over seeds.
    - `pairs`, `seed_pairs`: the number of method pairs from which `disagreement` and `seed_sd` are estimated; 0 for
      an assumed value.
    """

    disagreement: float = 0.25
    seed_sd: float = 0.02
    pairs: int = 0
    seed_pairs: int = 0
    lasting: float = 1.0


@dataclass(frozen=True)
class Comparisons:
    """The comparisons of a table: methods compared with one control, and differences in Holm's correction."""

    methods: int = 1
    differences: int = 1


@dataclass(frozen=True)
class Detectable:
    """The smallest true difference that is detected with power 0.8 at level 5 % after correction.

    `of`: the name of the items: a task, or all items.

    `planned`: the planned number of seeds. `seeds`: the number that `difference` assumes: `planned`, or three for a
    single seed.
    """

    of: str
    items: int
    seeds: int
    noise: Noise
    difference: float
    planned: int
    comparisons: Comparisons


def minimum_effects(
    items: Mapping[str, int], seeds: int, noises: Mapping[str, Noise], comparisons: Comparisons
) -> tuple[Detectable, ...]:
    """The minimum detectable effect on the mean over all items and, with several tasks, on the smallest task.

    `items`: task -> number of items. `noises`: task -> its noise; "" for all items together.
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
        value = detectable_difference(count, used, noise, comparisons)
        found.append(Detectable(name or "all items", count, used, noise, value, seeds, comparisons))
    return tuple(found)


def describe(found: tuple[Detectable, ...]) -> str:
    """One line for a log, with its assumptions."""
    first = found[0]
    shown = "; ".join(f"{at_most_one(one.difference)} on {one.of} ({one.items:,})" for one in found)
    count = first.comparisons.differences
    family = f" after Holm's correction for {count} comparisons" if count > 1 else ""
    alone = "One seed finds no difference: its intervals are over items only. " if first.planned < 2 else ""
    summary = f"Smallest true difference found with power 0.8{family}, with {first.seeds} seeds: {shown}."
    return f"{alone}{summary} {_assumptions(first)}"


def at_most_one(difference: float) -> str:
    """The difference with three decimals, or "above 1", which no difference of two shares can reach."""
    return f"{difference:.3f}" if difference <= 1 else "above 1"


def _assumptions(one: Detectable) -> str:
    noise = one.noise
    sources = [
        (noise.pairs, f"two methods disagree on {noise.disagreement:.0%} of all items"),
        (noise.seed_pairs, f"seeds spread their difference by {noise.seed_sd:.3f}"),
    ]
    groups = {"Assumed": [text for pairs, text in sources if not pairs]}
    groups["From the store"] = [text for pairs, text in sources if pairs]
    return " ".join(f"{word}: {', '.join(texts)}." for word, texts in groups.items() if texts)


def detectable_difference(items: int, seeds: int, noise: Noise, comparisons: Comparisons) -> float:
    """The smallest true difference that is detected with power 0.8 at 5 % after correction; infinite for one seed."""
    passing = (
        (1 - noise.lasting) * noise.disagreement / items
    )  # variance of a seed's mean from single outcomes
    over_items = noise.lasting * noise.disagreement / items + passing / max(seeds, 1)
    variance = noise.seed_sd**2
    if comparisons.methods < LEAST_METHODS:
        sides = [SeedVariance(variance, seeds - 1, passing, kept=0.5)]
    else:
        half = SeedVariance(variance / 2, seeds - 1 + PRIOR_FREEDOM, passing / 2)
        sides = [half, SeedVariance(half.variance, seeds - 1, half.noise)]
    return minimum_difference(
        over_items + 1 / items**2, sides, seeds, level=ALPHA / max(1, comparisons.differences)
    )
