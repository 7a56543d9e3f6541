"""Seed variance of a column's differences, split into each method's part and the control's part.

A column is K methods minus one control, over the same S seeds. The mean difference of method m at seed s is

    D_ms = d_m + a_ms - c_s

- d_m: the true difference.
- a_ms: the method's seed effect, which changes only this difference; estimated from D_ms - mean_m D_ms.
- c_s: the control's seed effect, which changes all differences of the seed; estimated from mean_m D_ms.

The control's variance uses only its own S - 1 degrees of freedom: it enters every difference, and a random control
selects other rows with each seed. A method's variance uses its own S - 1 degrees of freedom and `PRIOR_FREEDOM` more
from the other methods, as in a moderated t-test (Smyth, 2004). With a larger prior, a method whose seeds vary four
times as much as the others' would seem as stable as they are.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nait.core.statistics.significance import SeedVariance
from nait.sweeps.stats.paired import Stratum, means_of_seeds, noise, unpooled

K = TypeVar("K", bound=Hashable)

LEAST_METHODS = 3
"""With fewer methods, the two variances cannot be separated, and each difference uses its own variance."""
PRIOR_FREEDOM = 0.5
"""Degrees of freedom that the mean variance of the other methods adds to a method's own S - 1."""


def column(
    differences: Mapping[K, Sequence[Stratum]], fixed: frozenset[K] = frozenset()
) -> dict[K, tuple[SeedVariance, ...]]:
    """Method -> its seed variances: its own and the control's. All differences [S, I] share control and seeds.

    `fixed`: methods that do not depend on the seed, such as the untrained model. They have only the control's.
    """
    seeds = min((len(part[0].d_si) for part in differences.values()), default=0)
    free = [name for name in differences if name not in fixed]
    if seeds < 2:
        return dict.fromkeys(differences, ())
    if len(free) < LEAST_METHODS:
        return {name: (unpooled(part),) for name, part in differences.items()}
    methods, control = _sides([differences[name] for name in free])
    both = {name: (own, control) for name, own in zip(free, methods, strict=True)}
    return {name: both.get(name, (control,)) for name in differences}


def moderate(own: SeedVariance, others: Sequence[SeedVariance]) -> SeedVariance:
    """A difference's variance, moderated by the variances of differences to other controls."""
    if not others:
        return own
    mean = float(np.mean([max(one.variance, one.noise) for one in others]))
    variance = max(own.variance, own.noise)
    freedom = own.freedom + PRIOR_FREEDOM
    return replace(own, variance=(own.freedom * variance + PRIOR_FREEDOM * mean) / freedom, freedom=freedom)


def _sides(differences: Sequence[Sequence[Stratum]]) -> tuple[list[SeedVariance], SeedVariance]:
    """The seed variances of the methods and of the control. Each includes half of a difference's noise."""
    d_ms = np.array([means_of_seeds(part) for part in differences])
    noise_m = np.array([noise(part) for part in differences]) / 2
    count, seeds = d_ms.shape
    d_s = d_ms.mean(axis=0)
    rest_m = (d_ms - d_s).var(axis=1, ddof=1)
    mean = float(rest_m.sum()) / (count - 1)
    own_m = np.maximum((rest_m - mean / count) / (1 - 2 / count), noise_m)
    others_m = np.maximum((mean * count - own_m) / (count - 1), noise_m)
    moderated_m = ((seeds - 1) * own_m + PRIOR_FREEDOM * others_m) / (seeds - 1 + PRIOR_FREEDOM)
    methods = [
        SeedVariance(float(variance), seeds - 1 + PRIOR_FREEDOM, float(one))
        for variance, one in zip(moderated_m, noise_m, strict=True)
    ]
    return methods, SeedVariance(float(d_s.var(ddof=1)) - mean / count, seeds - 1, float(noise_m.mean()))
