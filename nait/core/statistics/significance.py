"""Inference about a difference between two methods: interval, p-value, minimum detectable difference.

    difference* = mean + z sqrt(known) + sum over sides of t_f sqrt(v / S)

- `known`: the variance of the mean over items. It is treated as known because there are many items; of few items
  without bounds, it is estimated too.
- side: the method or its control. v is the variance over that side's S seeds, estimated with f degrees of freedom.

The sum of independent t variables (Behrens-Fisher) has at least its nominal coverage. A pooled t has less when the
variances of the sides differ. Tail probabilities are integrals over the unknown true v, computed with the trapezoid
rule on N nodes a side, without sampling.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
POWER = 0.8
_NODES = 64  # of each estimated variance: 32 make three intervals of one degree of freedom 3 % too long
_LEAST_CHANCE = 1e-14  # probability of a chi-square below the first node
_NORMAL = NormalDist()
_X = np.linspace(0.0, 38.0, 7601)
_LOG_TAIL = np.log([math.erfc(x / math.sqrt(2)) for x in _X])
_STEPS = 60
_ESTIMATES = 9
"""Quantiles of each side's variance estimate over which power is averaged."""


@dataclass(frozen=True)
class SeedVariance:
    """The variance of one side's mean over seeds, estimated with `freedom` degrees of freedom.

    `noise` is the part of it that single outcomes cause. The variance over items includes the same noise, and noise
    must count once: the share `kept` counts here, the rest in the variance over items.
    """

    variance: float
    freedom: float
    noise: float = 0.0
    kept: float = 0.0

    @property
    def without_noise(self) -> float:
        """The variance without the noise that counts in the variance over items; at least `kept * noise`."""
        return max(self.variance, self.noise) - (1 - self.kept) * self.noise


@dataclass(frozen=True)
class MeanDistribution:
    """The distribution of a mean difference.

    `known`: the known variance. `parts`: (variance, degrees of freedom) of each estimated variance.
    """

    known: float
    parts: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def of(
        known: float,
        sides: Sequence[SeedVariance],
        seeds: int,
        *,
        estimated: tuple[float, float] = (0.0, 0.0),
    ) -> MeanDistribution:
        """The distribution of the mean over `seeds` seeds. `known`: the variance of the mean over items.

        `estimated`: the part of that variance that few items give, which is not in `known`, and its degrees of
        freedom.
        """
        counted = sum(side.kept * side.noise for side in sides) / seeds
        parts = tuple((side.without_noise / seeds, side.freedom) for side in sides if side.without_noise > 0)
        variance, freedom = estimated
        if variance <= 0:
            return MeanDistribution(max(0.0, known - counted), parts)
        rest = max(0.0, variance - counted)
        return MeanDistribution(known, (*parts, (rest, freedom)) if rest > 0 else parts)

    @property
    def error(self) -> float:
        """The standard error of the mean difference."""
        return math.sqrt(self.known + sum(variance for variance, _ in self.parts))

    @cached_property
    def _scales(self) -> tuple[Floats, Floats]:
        """Possible true standard deviations ([N ** P] for P parts) and their probabilities."""
        variances, chances = np.array([self.known]), np.ones(1)
        for variance, freedom in self.parts:
            factors_n, weights_n = _inverse_chi_squares(freedom)
            variances = (variances[:, None] + variance * factors_n).ravel()
            chances = (chances[:, None] * weights_n).ravel()
        return np.sqrt(variances), chances

    def two_sided_p(self, distance: float) -> float:
        """The two-sided probability of a mean at least `distance` from the true difference."""
        if self.error == 0.0:
            return float(distance == 0.0)
        scales, chances = self._scales
        return min(1.0, float(_two_tails(abs(distance) / scales) @ chances))

    def half_width(self, level: float = ALPHA) -> float:
        """The half-width of the interval with coverage 1 - `level`."""
        if self.error == 0.0:
            return 0.0
        low, high = 0.5 * self.error, 4 * self.error
        while self.two_sided_p(high) > level:
            low, high = high, 4 * high
        return math.exp(
            _root(lambda x: math.log(self.two_sided_p(math.exp(x)) / level), math.log(low), math.log(high))
        )


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """The root of a decreasing function, by the Illinois variant of false position."""
    at_low, at_high, before = falling(low), falling(high), 0
    for _ in range(_STEPS):
        if high - low <= 1e-7 or at_low <= 0:
            break
        middle = (low * at_high - high * at_low) / (at_high - at_low)
        value = falling(middle)
        if abs(value) < 1e-7:
            return middle
        if value > 0:
            low, at_low, at_high = middle, value, at_high / 2 if before > 0 else at_high
        else:
            high, at_high, at_low = middle, value, at_low / 2 if before < 0 else at_low
        before = 1 if value > 0 else -1
    return low if at_low <= 0 else high


def minimum_difference(
    known: float,
    sides: Sequence[SeedVariance],
    seeds: int,
    *,
    level: float = ALPHA,
    freedom: float = math.inf,
) -> float:
    """The smallest true difference that a test at `level` detects with power 0.8; infinite for one seed.

    `known` and `sides` are true values. Power is averaged over the distribution of the sides' variance estimates,
    which vary widely with few seeds. `freedom`: the degrees of freedom with which few items estimate `known`; its
    estimate is taken as true, and the test is as much wider as Student's t is at this level.
    """
    if seeds < 2:
        return math.inf
    if math.isfinite(freedom):
        wider = MeanDistribution(0.0, ((1.0, freedom),)).half_width(level) / MeanDistribution(1.0).half_width(
            level
        )
        known *= wider**2
    truth = MeanDistribution.of(known, sides, seeds)
    if truth.error == 0.0:
        return 0.0
    halves = np.array([MeanDistribution.of(known, one, seeds).half_width(level) for one in _estimates(sides)])
    low, high = 0.0, float(halves.max()) + 9.0 * truth.error
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reached = (middle - halves) / truth.error
        found = np.where(reached > 0, 1 - _two_tails(np.abs(reached)) / 2, _two_tails(np.abs(reached)) / 2)
        low, high = (low, middle) if float(found.mean()) >= POWER else (middle, high)
    return high


def _estimates(sides: Sequence[SeedVariance]) -> list[tuple[SeedVariance, ...]]:
    """Combinations of the sides' variance estimates, equally likely."""
    found: list[tuple[SeedVariance, ...]] = [()]
    for side in sides:
        factors_k = _chi_squares(side.freedom)
        estimated = [
            replace(side, variance=max(side.variance, side.noise) * float(factor)) for factor in factors_k
        ]
        found = [(*before, one) for before in found for one in estimated]
    return found


def _two_tails(x: Floats) -> Floats:
    """The standard normal's two-tailed probability at x >= 0, to a relative error of 1e-3."""
    return np.asarray(np.exp(np.interp(x, _X, _LOG_TAIL)))


@lru_cache(maxsize=256)
def _nodes(freedom: float) -> tuple[Floats, Floats]:
    """Values [N] of log(chi-square / freedom) and their probabilities [N]."""
    half = freedom / 2
    lowest = (math.log(_LEAST_CHANCE) + math.lgamma(half + 1)) / half - math.log(half)
    highest = 3 * math.log(1 - 2 / (9 * freedom) + 7.5 * math.sqrt(2 / (9 * freedom)))  # Wilson and Hilferty
    u_n = np.linspace(lowest, highest, _NODES)
    weights_n = half * (u_n - np.exp(u_n))
    chances_n = np.exp(weights_n - weights_n.max())
    return u_n, chances_n / chances_n.sum()


def _inverse_chi_squares(freedom: float) -> tuple[Floats, Floats]:
    """Ratios [N] of true variance to estimate, and their probabilities [N]."""
    u_n, chances_n = _nodes(freedom)
    return np.exp(-u_n), chances_n


@lru_cache(maxsize=256)
def _chi_squares(freedom: float) -> Floats:
    """Equally likely ratios [K] of estimated to true variance."""
    u_n, chances_n = _nodes(freedom)
    below_n = np.cumsum(chances_n) - chances_n / 2
    return np.asarray(np.exp(np.interp((np.arange(_ESTIMATES) + 0.5) / _ESTIMATES, below_n, u_n)))
