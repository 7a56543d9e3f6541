"""Simulated evaluations: right or wrong outcomes of methods on the same items, with several sources of variance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nait.core.statistics.significance import SeedVariance
from nait.sweeps.stats.paired import Difference, Floats, Stratum, adjusted_family, estimate
from nait.sweeps.stats.seed_spread import column


def outcomes(
    generator: np.random.Generator,
    *,
    seeds: int,
    methods: int = 12,
    items: int = 200,
    of_seeds: float = 0.09,
    wide: int | None = None,
    gain: float = 0.0,
) -> Floats:
    """Outcomes [M, S, I] of a probit model; method 0 is the control.

    Standard deviations on the probit scale: items 1, items within a method 0.5, seeds `of_seeds` (four times that for
    method `wide`), single outcomes 1. `gain`: the advantage of method 1, on the same scale.
    """
    spread_m = np.full(methods, of_seeds)
    if wide is not None:
        spread_m[wide] *= 4
    better_m = np.zeros(methods)
    better_m[1] = gain
    latent = (
        better_m[:, None, None]
        + generator.normal(size=(1, 1, items))
        + 0.5 * generator.normal(size=(methods, 1, items))
        + spread_m[:, None, None] * generator.normal(size=(methods, seeds, 1))
        + generator.normal(size=(methods, seeds, items))
    )
    return np.asarray(latent > 0, dtype=np.float64)


def differences(y_msi: Floats) -> dict[int, list[Stratum]]:
    """Each method minus the control."""
    return {m: [Stratum(1.0, y_msi[m] - y_msi[0])] for m in range(1, len(y_msi))}


def table(y_msi: Floats, only: Sequence[int] = ()) -> list[Difference]:
    """The differences of a leaderboard with one task, corrected; of some methods alone, uncorrected."""
    found = differences(y_msi)
    sides: dict[int, tuple[SeedVariance, ...]] = column(found)
    if only:
        return [estimate(found[m], sides=sides[m]) for m in only]
    return adjusted_family([estimate(part, sides=sides[m]) for m, part in found.items()])
