"""The law of a difference between two methods: its interval, its p-value, and the smallest one that it can find.

    difference* = mean + z sqrt(known) + sum over sides of t_f sqrt(v / S)

`known` is the variance over items, which many items tell well. v is what a side's seeds add to a seed's mean, from f
degrees of freedom: a method and its control are two sides. The sum of independent t's (Behrens and Fisher) covers at
least as often as it says, while a pooled one misses where sides differ. Its tail is an integral over what each v may
truly be, by the trapezoid rule: no draws, no smallest p-value. Shapes: N nodes a side.
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
_NODES = 64
_LEAST_CHANCE = 1e-14  # of a chi-square beyond the first node
_NORMAL = NormalDist()
_X = np.linspace(0.0, 38.0, 7601)
_LOG_TAIL = np.log([math.erfc(x / math.sqrt(2)) for x in _X])
_STEPS = 60
_ESTIMATES = 9
"""Values of each side's estimate over which a power is averaged."""


@dataclass(frozen=True)
class Arm:
    """The variance of a seed's mean on one side, and the degrees of freedom that tell it.

    `noise`: how much of it comes from single outcomes. The variance over items holds that too, so it is taken off;
    `kept` is the share of it that stays here and is taken off the items instead.
    """

    variance: float
    freedom: float
    noise: float = 0.0
    kept: float = 0.0

    @property
    def part(self) -> float:
        """What the side adds to the variance of a seed's mean; never less than its noise allows."""
        return max(self.variance, self.noise) - (1 - self.kept) * self.noise


@dataclass(frozen=True)
class Law:
    """A difference's distribution about its mean: `known`, and each part's variance of the mean with its freedom."""

    known: float
    parts: tuple[tuple[float, float], ...] = ()

    @staticmethod
    def of(known: float, sides: Sequence[Arm], seeds: int) -> Law:
        """The law of the mean over so many seeds. `known`: the variance of the mean over items."""
        held = sum(side.kept * side.noise for side in sides) / seeds
        parts = tuple((side.part / seeds, side.freedom) for side in sides if side.part > 0)
        return Law(max(0.0, known - held), parts)

    @property
    def error(self) -> float:
        """The standard error."""
        return math.sqrt(self.known + sum(variance for variance, _ in self.parts))

    @cached_property
    def _scales(self) -> tuple[Floats, Floats]:
        """Standard deviations [N] or [N * N] that the true one may be, and their chances."""
        variances, chances = np.array([self.known]), np.ones(1)
        for variance, freedom in self.parts:
            factors_n, weights_n = _inverse_chi_squares(freedom)
            variances = (variances[:, None] + variance * factors_n).ravel()
            chances = (chances[:, None] * weights_n).ravel()
        return np.sqrt(variances), chances

    def beyond(self, distance: float) -> float:
        """The chance of a mean at least so far from the truth, on either side."""
        if self.error == 0.0:
            return float(distance == 0.0)
        scales, chances = self._scales
        return min(1.0, float(_two_tails(abs(distance) / scales) @ chances))

    def half_width(self, level: float = ALPHA) -> float:
        """Half of the interval that misses the truth with the chance `level`."""
        if self.error == 0.0:
            return 0.0
        low, high = 0.5 * self.error, 4 * self.error
        while self.beyond(high) > level:
            low, high = high, 4 * high
        return math.exp(
            _root(lambda x: math.log(self.beyond(math.exp(x)) / level), math.log(low), math.log(high))
        )


def _root(falling: Callable[[float], float], low: float, high: float) -> float:
    """Where a falling function is 0, by the Illinois variant of false position."""
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


def smallest(known: float, sides: Sequence[Arm], seeds: int, *, level: float = ALPHA) -> float:
    """The smallest true difference that a test at `level` finds with power 0.8; infinite with one seed.

    `known` and `sides` are the truth here. The power is that over all estimates of the sides that the seeds may give,
    not the one at the truth itself: few seeds are often lucky or unlucky in it.
    """
    if seeds < 2:
        return math.inf
    law = Law.of(known, sides, seeds)
    if law.error == 0.0:
        return 0.0
    halves = np.array([Law.of(known, one, seeds).half_width(level) for one in _estimates(sides)])
    low, high = 0.0, float(halves.max()) + 9.0 * law.error
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reached = (middle - halves) / law.error
        found = np.where(reached > 0, 1 - _two_tails(np.abs(reached)) / 2, _two_tails(np.abs(reached)) / 2)
        low, high = (low, middle) if float(found.mean()) >= POWER else (middle, high)
    return high


def _estimates(sides: Sequence[Arm]) -> list[tuple[Arm, ...]]:
    """What so few seeds may take each side's variance for, every combination equally likely."""
    found: list[tuple[Arm, ...]] = [()]
    for side in sides:
        factors_k = _chi_squares(side.freedom)
        seen = [
            replace(side, variance=max(side.variance, side.noise) * float(factor)) for factor in factors_k
        ]
        found = [(*before, one) for before in found for one in seen]
    return found


def _two_tails(x: Floats) -> Floats:
    """The normal's share beyond -x and x together, x >= 0, exact to a thousandth of itself."""
    return np.asarray(np.exp(np.interp(x, _X, _LOG_TAIL)))


@lru_cache(maxsize=256)
def _nodes(freedom: float) -> tuple[Floats, Floats]:
    """[N] values of log(chi-square / freedom) and their chances."""
    half = freedom / 2
    lowest = (math.log(_LEAST_CHANCE) + math.lgamma(half + 1)) / half - math.log(half)
    highest = 3 * math.log(1 - 2 / (9 * freedom) + 7.5 * math.sqrt(2 / (9 * freedom)))  # Wilson and Hilferty
    u_n = np.linspace(lowest, highest, _NODES)
    weights_n = half * (u_n - np.exp(u_n))
    chances_n = np.exp(weights_n - weights_n.max())
    return u_n, chances_n / chances_n.sum()


def _inverse_chi_squares(freedom: float) -> tuple[Floats, Floats]:
    """[N] factors by which a true variance may exceed its estimate, and their chances."""
    u_n, chances_n = _nodes(freedom)
    return np.exp(-u_n), chances_n


@lru_cache(maxsize=256)
def _chi_squares(freedom: float) -> Floats:
    """[K] factors by which an estimate may exceed the true variance, equally likely ones."""
    u_n, chances_n = _nodes(freedom)
    below_n = np.cumsum(chances_n) - chances_n / 2
    return np.asarray(np.exp(np.interp((np.arange(_ESTIMATES) + 0.5) / _ESTIMATES, below_n, u_n)))
