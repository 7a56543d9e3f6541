"""Statistics of the linear datamodelling score (LDS; Park et al., 2023, arXiv 2303.14186).

The LDS of a method on a benchmark is Spearman's rho, over random training subsets, between what the method's scores
predict of a subset and the benchmark's result after training on it.
Shapes: R subsets, I items, B bootstrap draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from nait.core.ranking.rank_statistics import spearman

Floats = npt.NDArray[np.float64]
Strata = Sequence[tuple[float, Floats]]
"""Tasks of a benchmark: the weight of each and its outcomes [R, I], with the same items for all subsets."""

DRAWS, HALVES, SEED = 1000, 100, 0
LEVEL, POWER = 0.05, 0.8
LEAST_SUBSETS = 8
"""With fewer subsets there is no interval."""
_NORMAL = NormalDist()
_ONE_SIGMA = (100 * _NORMAL.cdf(-1), 100 * _NORMAL.cdf(1))


@dataclass(frozen=True)
class Prediction:
    """A correlation with its 95 % interval."""

    rho: float
    low: float
    high: float

    @property
    def significant(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


def results(strata: Strata) -> Floats:
    """The result [R] of each subset: the weighted sum of the tasks' means over items."""
    return np.asarray(sum(weight * outcomes.mean(axis=1) for weight, outcomes in strata))


@dataclass(frozen=True)
class Resampled:
    """Bootstrap draws over subsets and items: the drawn subsets [B, R] and the ranks [B, R] of their results.

    All methods are compared on the same draws.
    """

    rows: npt.NDArray[np.int64]
    ranks: Floats

    @staticmethod
    def of(strata: Strata, *, draws: int = DRAWS, seed: int = SEED) -> Resampled:
        """Draws of subsets and of each task's items, with replacement."""
        generator = np.random.default_rng(seed)
        count = len(strata[0][1])
        rows = generator.integers(0, count, size=(draws, count))
        values = np.zeros((draws, count))
        for weight, outcomes in strata:
            items = outcomes.shape[1]
            times = generator.multinomial(items, np.full(items, 1 / items), size=draws)
            values += weight * (times @ outcomes.T) / items
        return Resampled(rows, _ranks(np.take_along_axis(values, rows, axis=1)))

    def correlations(self, predicted: Floats) -> Floats:
        """Spearman's rho [B] in each draw; 0 where it is undefined."""
        ours = _ranks(predicted[self.rows])
        ours, theirs = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (ours, self.ranks))
        sizes = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
        products = (ours * theirs).sum(axis=1)
        return np.asarray(np.divide(products, sizes, out=np.zeros(len(sizes)), where=sizes > 0))


def _ranks(values: Floats) -> Floats:
    """Mean ranks [B, R] within each row."""
    from scipy.stats import rankdata

    return np.asarray(rankdata(values, axis=1), dtype=np.float64)


def prediction(predicted: Floats, strata: Strata, resampled: Resampled) -> Prediction | None:
    """The LDS of a prediction [R] with its interval; None where it is constant or the results are.

    The interval is normal on Fisher's scale. Its standard error is half the distance between the bootstrap's
    percentiles at one standard deviation, which extreme draws do not affect. The bootstrap's own percentiles would
    lie too close to 0: drawing items again adds their noise a second time.
    """
    rho = spearman(predicted, results(strata))
    return None if math.isnan(rho) else around(rho, resampled.correlations(predicted), len(predicted))


def around(rho: float, drawn: Floats, subsets: int) -> Prediction:
    """The interval around `rho` over so many subsets, given its values [B] in bootstrap draws.

    Fisher's scale has no place for a perfect correlation. It counts as halfway to the next lower one, of two
    neighbours in the other order. If more draws are perfect than lie beyond one standard deviation, they do not show
    the spread: the standard error is then at least that of Bonett and Wright (2000).
    """
    most = 1 - 6 / (subsets**3 - subsets)
    low, high = np.percentile(np.arctanh(np.clip(drawn, -most, most)), _ONE_SIGMA)
    middle, error = math.atanh(max(-most, min(most, rho))), float(high - low) / 2
    if np.mean(np.abs(drawn) > most) > _NORMAL.cdf(-1):
        error = max(error, _standard_error(math.tanh(middle), subsets))
    reach = _NORMAL.inv_cdf(1 - LEVEL / 2) * error
    return Prediction(rho, math.tanh(middle - reach), math.tanh(middle + reach))


def _standard_error(rho: float, subsets: int) -> float:
    """That of Spearman's rho on Fisher's scale (Bonett and Wright, 2000)."""
    return math.sqrt((1 + rho**2 / 2) / (subsets - 3))


def split_half_reliability(strata: Strata, *, halves: int = HALVES, seed: int = SEED) -> float:
    """The reliability of the results: the correlation of two halves of the items, for the full number of items.

    The mean of Spearman's rho over random halves, with the Spearman-Brown correction; at least 0.
    """
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(halves):
        sides = [np.zeros(len(strata[0][1])) for _ in range(2)]
        for weight, outcomes in strata:
            order = generator.permutation(outcomes.shape[1])
            for k, side in enumerate(sides):
                side += weight * outcomes[:, order[k::2]].mean(axis=1)
        found.append(spearman(sides[0], sides[1]))
    known = [rho for rho in found if not math.isnan(rho)]
    mean = max(0.0, float(np.mean(known))) if known else 0.0
    return 2 * mean / (1 + mean)


def ceiling(reliability: float) -> float | None:
    """The correlation that a perfect prediction of the noiseless results would have with the measured ones.

    None where halves of the items do not agree at all: the reliability is then too low to be estimated.
    """
    return math.sqrt(reliability) if reliability > 0 else None


def smallest_detectable(subsets: int) -> float:
    """The smallest true rho that `subsets` subsets distinguish from 0 at 5 %, two-sided, with power 0.8.

    On Fisher's scale, with the standard error of Bonett and Wright (2000).
    """
    wanted = _NORMAL.inv_cdf(1 - LEVEL / 2) + _NORMAL.inv_cdf(POWER)
    rho = 0.0
    for _ in range(100):
        rho = math.tanh(wanted * _standard_error(rho, subsets))
    return rho
