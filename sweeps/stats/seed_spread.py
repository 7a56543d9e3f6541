"""Seed variance of the differences in a column, split into the methods' and their common control's.

A column is K methods minus one control, over the same S seeds. D_ms is the mean difference of method m at seed s. A
seed effect of the control shifts all differences of that seed equally, one of a method only its own:

    D_ms = d_m + a_ms - c_s      a_ms from D_ms - mean_m D_ms, c_s from mean_m D_ms

The control's variance is estimated from its own S - 1 degrees of freedom, because every difference shares it and the
selection of random changes with the seed. A method's is estimated from its own S - 1 plus `LENT` degrees of freedom
from the other methods, as in a moderated t-test (Smyth, 2004). A larger weight would hide a method whose seeds vary
four times as much as the others'.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from nait.core.statistics.significance import Arm
from nait.sweeps.stats.paired import Stratum, alone, means_of_seeds, noise

K = TypeVar("K", bound=Hashable)

LEAST = 3
"""With fewer methods the two variances cannot be separated; each difference uses its own variance."""
LENT = 0.5
"""Degrees of freedom that the mean variance of the other methods adds to a method's own S - 1."""


def column(
    differences: Mapping[K, Sequence[Stratum]], fixed: frozenset[K] = frozenset()
) -> dict[K, tuple[Arm, ...]]:
    """Method -> its variance components: its own and the control's. Differences [S, I] share control and seeds.

    `fixed`: methods that do not depend on the seed, such as the untrained model; they have only the control's.
    """
    seeds = min((len(part[0].d_si) for part in differences.values()), default=0)
    free = [name for name in differences if name not in fixed]
    if seeds < 2:
        return dict.fromkeys(differences, ())
    if len(free) < LEAST:
        return {name: (alone(part),) for name, part in differences.items()}
    methods, control = _sides([differences[name] for name in free])
    both = {name: (own, control) for name, own in zip(free, methods, strict=True)}
    return {name: both.get(name, (control,)) for name in differences}


def moderate(own: Arm, others: Sequence[Arm]) -> Arm:
    """A difference's variance, moderated by those of differences to other controls."""
    if not others:
        return own
    mean = float(np.mean([max(one.variance, one.noise) for one in others]))
    variance = max(own.variance, own.noise)
    freedom = own.freedom + LENT
    return replace(own, variance=(own.freedom * variance + LENT * mean) / freedom, freedom=freedom)


def _sides(differences: Sequence[Sequence[Stratum]]) -> tuple[list[Arm], Arm]:
    """The variance components of the methods and of the control. Each gets half of a difference's noise."""
    d_ms = np.array([means_of_seeds(part) for part in differences])
    noise_m = np.array([noise(part) for part in differences]) / 2
    count, seeds = d_ms.shape
    d_s = d_ms.mean(axis=0)
    rest_m = (d_ms - d_s).var(axis=1, ddof=1)
    mean = float(rest_m.sum()) / (count - 1)
    own_m = np.maximum((rest_m - mean / count) / (1 - 2 / count), noise_m)
    others_m = np.maximum((mean * count - own_m) / (count - 1), noise_m)
    moderated_m = ((seeds - 1) * own_m + LENT * others_m) / (seeds - 1 + LENT)
    methods = [
        Arm(float(variance), seeds - 1 + LENT, float(one))
        for variance, one in zip(moderated_m, noise_m, strict=True)
    ]
    return methods, Arm(float(d_s.var(ddof=1)) - mean / count, seeds - 1, float(noise_m.mean()))
