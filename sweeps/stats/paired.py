"""Paired statistics: a contrast between runs on the same items and seeds, its interval and p-value.

Shapes: S seeds, I items. The interval generalises to both new seeds and new items:

    difference* = mean + z sqrt(w) + sum over sides of t_f sqrt(v / S)

- w: the variance of the mean over items. It is the squared standard error over I items, plus the effect of one more
  item that changes by a whole outcome. Without that item, a few items with equal differences would give an interval
  of width 0. A whole outcome is 1 for scores from 0 to 1. A loss has no such unit: its additional item is as far from
  the mean as the range of the measured ones. Fewer than `MANY_ITEMS` losses do not give their own variance well: it
  then counts as estimated, as Student's t has it.
- side: the method or its control. v is its seed variance, with f = S - 1 or slightly more degrees of freedom
  (`sweeps/stats/seed_spread.py`).

Tail probabilities are exact, without sampling (`nait/core/statistics/significance.py`). Apart from the additional
item, the squared error equals the REML estimate of the crossed model mean + seed + item + residual wherever all
variance components are positive.

With one seed the interval is over items only, and no test is made. `tests/sweeps/test_statistics.py` simulates
coverage and family-wise error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median, median_low

import numpy as np
import numpy.typing as npt

from nait.core.statistics.significance import ALPHA, MeanDistribution, SeedVariance, minimum_difference

Floats = npt.NDArray[np.float64]
Outcomes = Mapping[str, float]
"""The outcomes of one run: item key (number and content) -> value."""

ITEMS_ONLY = "items only"
"""The mark of an interval from one seed, which is over items only and not tested."""
Z95 = 1.959964
MANY_ITEMS = 8
"""From so many items on, the additional item makes up for the estimation of a loss's variance (simulated coverage
without the estimation: 75, 91 and 96 % with 2, 3 and 5 items)."""
KEPT_NOISE = 0.5
"""Share of the noise that counts in an unpooled seed variance (`SeedVariance.kept`). With 0, two or three seeds give
an estimate of 0 too often (simulated coverage 85 to 92 %)."""


@dataclass(frozen=True)
class Difference:
    """A mean difference with its 95 % interval, its two-sided p-value and its standard error.

    `adjusted`: the p-value after Holm's correction for `family` comparisons. `over_items`: the variance of the mean
    over items; `items_freedom`: the degrees of freedom that few losses give it. `sides`: the seed variances.
    With one seed there is no test: p is 1 and `significant` False.
    """

    value: float
    low: float
    high: float
    seeds: int
    items: int
    p: float = 1.0
    error: float = 0.0
    adjusted: float | None = None
    family: int = 1
    over_items: float = 0.0
    items_freedom: float = math.inf
    sides: tuple[SeedVariance, ...] = ()
    higher_is_better: bool = True

    @property
    def gain(self) -> float:
        """The value, negated where lower is better."""
        return self.value if self.higher_is_better else -self.value

    @property
    def tested(self) -> bool:
        """Whether there are several seeds; with one, the interval is over items only."""
        return self.seeds > 1

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0

    @property
    def significant(self) -> bool:
        """Whether there are two seeds or more, the interval excludes 0 and the (adjusted) p-value is below 0.05."""
        p = self.p if self.adjusted is None else self.adjusted
        return self.tested and self.excludes_zero and p < ALPHA

    @property
    def reversed(self) -> Difference:
        """The difference in the other direction."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low)


@dataclass(frozen=True)
class Stratum:
    """Differences [S, I] on one task, and the task's weight in the contrast.

    `bounded`: the outcomes are scores from 0 to 1, such as accuracy or F1; False for losses and other units.
    """

    weight: float
    d_si: Floats
    bounded: bool = True


def estimate(
    strata: Sequence[Stratum], *, sides: Sequence[SeedVariance] | None = None, shares: bool = False
) -> Difference:
    """The weighted mean of the strata's mean differences, with interval and two-sided p-value.

    `sides`: seed variances estimated from a column of comparable differences; None estimates them from these seeds.
    `shares`: scores from 0 to 1, which use Wilson's correction (`share_half_width`) instead of the additional item.
    """
    seeds = len(strata[0].d_si)
    value = float(means_of_seeds(strata).mean())
    over_items = sum(part.weight**2 * _over_items(part, shares=shares) for part in strata)
    components = (tuple(sides) if sides is not None else (unpooled(strata),)) if seeds > 1 else ()
    few, freedom = _of_few_items(strata)
    of_mean = MeanDistribution.of(over_items - few, components, seeds, estimated=(few, freedom))
    half = of_mean.half_width()
    return Difference(
        value=value, low=value - half, high=value + half, seeds=seeds,
        items=sum(part.d_si.shape[1] for part in strata), p=of_mean.two_sided_p(value) if seeds > 1 else 1.0,
        error=of_mean.error, over_items=over_items, items_freedom=freedom, sides=components,
    )  # fmt: skip


def unpooled(strata: Sequence[Stratum]) -> SeedVariance:
    """The seed variance of these differences without any others', with S - 1 degrees of freedom."""
    m_s = means_of_seeds(strata)
    return SeedVariance(float(m_s.var(ddof=1)), len(m_s) - 1, noise(strata), KEPT_NOISE)


def means_of_seeds(strata: Sequence[Stratum]) -> Floats:
    """[S] the weighted mean of each seed."""
    return np.asarray(np.sum([part.weight * part.d_si.mean(axis=1) for part in strata], axis=0))


def noise(strata: Sequence[Stratum]) -> float:
    """The part of the variance of a seed's mean that single outcomes cause."""
    return float(sum(part.weight**2 * _residual(part.d_si) / part.d_si.shape[1] for part in strata))


def _over_items(part: Stratum, *, shares: bool) -> float:
    """The variance of the mean over items, including one more item that changes by a whole outcome."""
    outcome = 0.0 if shares else _whole_outcome(part)
    return _measured_items(part) + float((outcome / part.d_si.shape[1]) ** 2)


def _measured_items(part: Stratum) -> float:
    """The variance of the mean over the measured items alone."""
    seeds, items = part.d_si.shape
    spread = float(part.d_si.mean(axis=0).var(ddof=1)) if items > 1 else 0.0
    return float(max(spread, _residual(part.d_si) / seeds) / items)


def _of_few_items(strata: Sequence[Stratum]) -> tuple[float, float]:
    """The variance over the items of losses and its degrees of freedom (Satterthwaite), if these are few.

    (0, infinite) where there are enough: the variance then counts as known.
    """
    parts = [
        (part.weight**2 * _measured_items(part), part.d_si.shape[1] - 1)
        for part in strata
        if not part.bounded
    ]
    known = [(variance, freedom) for variance, freedom in parts if variance > 0]
    total = sum(variance for variance, _ in known)
    freedom = total**2 / sum(variance**2 / freedom for variance, freedom in known) if known else math.inf
    return (total, freedom) if freedom < MANY_ITEMS - 1 else (0.0, math.inf)


def _whole_outcome(part: Stratum) -> float:
    """What one more item may change: 1 or the largest difference; without bounds, the range of the items' means.

    A single item, or equal ones, have no range: it is then the largest difference.
    """
    largest = float(np.abs(part.d_si).max())
    if part.bounded:
        return max(1.0, largest)
    return float(np.ptp(part.d_si.mean(axis=0))) or largest


def _residual(d_si: Floats) -> float:
    """The residual mean square after seed and item effects; 0 with a single seed or item."""
    seeds, items = d_si.shape
    if seeds < 2 or items < 2:
        return 0.0
    rest = d_si - d_si.mean(axis=0) - d_si.mean(axis=1, keepdims=True) + d_si.mean()
    return float((rest**2).sum() / ((seeds - 1) * (items - 1)))


def share_half_width(share: float, half_width: float, items: int) -> float:
    """The longer arm of Wilson's interval for a share in [0, 1] whose normal interval has this half width.

    Wilson's interval keeps its coverage near 0 and 1, where the normal one is too narrow. Its sample size is the
    number of independent outcomes with this half width, or `items` if the half width is 0. Both arms end at 0 and 1.
    """
    variance = share * (1 - share)
    count = Z95**2 * variance / half_width**2 if variance and half_width else items
    shift = (0.5 - share) * Z95**2 / (count + Z95**2)
    arm = Z95 / (count + Z95**2) * math.sqrt(count * variance + Z95**2 / 4)
    return min(max(half_width, arm + abs(shift)), max(share, 1 - share))


def holm(ps: Sequence[float]) -> list[float]:
    """Adjusted p-values (Holm, 1979): the k-th smallest of m times m - k + 1, made monotone."""
    adjusted, highest = [0.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=lambda place: ps[place])):
        highest = max(highest, min(1.0, (len(ps) - rank) * ps[place]))
        adjusted[place] = highest
    return adjusted


def adjusted_family(family: Iterable[Difference]) -> list[Difference]:
    """The differences with Holm-adjusted p-values. Differences of a single seed are neither tested nor counted."""
    found = list(family)
    tested = [one.p for one in found if one.tested]
    adjusted = iter(holm(tested))
    return [
        replace(one, adjusted=next(adjusted) if one.tested else None, family=len(tested)) for one in found
    ]


def detectable_difference(column: Sequence[Difference], seeds: int | None = None) -> float | None:
    """The smallest true difference detected with power 0.8 after the family's correction.

    None without a test, and where all outcomes are equal, so that nothing is known of their variance.

    `seeds`: another number of seeds than the measured one, with the same true variances.

    True variances are the medians over the column's differences. The single estimate for the control is shrunk
    towards the methods' with one more degree of freedom.
    """
    tested = [one for one in column if one.tested]
    if not tested:
        return None
    measured, count = median_low(one.seeds for one in tested), max(len(one.sides) for one in tested)
    similar = [one for one in tested if one.seeds == measured and len(one.sides) == count] or tested
    sides = [_middle([one.sides[k] for one in similar if len(one.sides) > k]) for k in range(count)]
    if count > 1:
        own, control = sides
        shrunk = (control.freedom * control.variance + own.variance) / (control.freedom + 1)
        sides = [own, replace(control, variance=shrunk)]
    seeds = measured if seeds is None else seeds
    sides = [replace(side, freedom=side.freedom + seeds - measured) for side in sides]
    over_items = median(one.over_items for one in similar)
    found = minimum_difference(
        over_items,
        sides,
        seeds,
        level=ALPHA / similar[0].family,
        freedom=min(one.items_freedom for one in similar),
    )
    return found or None


def _middle(sides: Sequence[SeedVariance]) -> SeedVariance:
    return SeedVariance(
        median(max(one.variance, one.noise) for one in sides), sides[0].freedom,
        median(one.noise for one in sides), sides[0].kept,
    )  # fmt: skip


def paired(terms: Sequence[tuple[float, Mapping[int, Outcomes]]]) -> Floats | None:
    """[S, I] the weighted sum of the terms over their shared seeds and items; None without any.

    A method minus its control is [(1, method), (-1, control)].
    """
    shared = sorted(set.intersection(*(set(runs) for _, runs in terms)))
    if not shared:
        return None
    runs: list[Outcomes] = [outcomes[seed] for _, outcomes in terms for seed in shared]
    items = sorted(set.intersection(*(set(run) for run in runs)))
    if not items:
        return None
    total = np.zeros((len(shared), len(items)))
    for weight, outcomes in terms:
        total += weight * np.array([[outcomes[seed][item] for item in items] for seed in shared])
    return total
