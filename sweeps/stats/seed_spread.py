"""Spreads: what seeds add to the differences of a column, the methods' and their common control's told apart.

A column is K methods minus one control, over the same S seeds. D_ms is the mean difference of method m at seed s. The
control's seeds move all of a seed's differences alike, a method's move its own:

    D_ms = d_m + a_ms - c_s      a_ms from D_ms - mean_m D_ms, c_s from mean_m D_ms

The control's variance is told by its own S - 1 degrees of freedom, since every difference shares it: random is the
method whose selection changes with the seed. A method's is told by its own S - 1, and the others lend it `LENT` more,
as in a moderated t-test (Smyth, 2004): more would overrule a method whose seeds spread four times as far as theirs.
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
"""Fewer methods than this do not tell whose seeds spread: each difference has its own spread alone."""
LENT = 0.5
"""Degrees of freedom that the other methods' mean variance adds to a method's own S - 1."""


def column(
    differences: Mapping[K, Sequence[Stratum]], fixed: frozenset[K] = frozenset()
) -> dict[K, tuple[Arm, ...]]:
    """Method -> its sides: its own and the control's, of differences [S, I] to one control over the same seeds.

    `fixed`: methods whose result no seed changes, as an untrained model's; the control's side is all they have.
    """
    seeds = min((len(part[0].d_si) for part in differences.values()), default=0)
    free = [name for name in differences if name not in fixed]
    if seeds < 2:
        return dict.fromkeys(differences, ())
    if len(free) < LEAST:
        return {name: (alone(part),) for name, part in differences.items()}
    methods, control = _sides([differences[name] for name in free])
    told = {name: (own, control) for name, own in zip(free, methods, strict=True)}
    return {name: told.get(name, (control,)) for name in differences}


def lend(own: Arm, others: Sequence[Arm]) -> Arm:
    """A difference's own spread, moderated by those of differences to other controls."""
    if not others:
        return own
    mean = float(np.mean([max(one.variance, one.noise) for one in others]))
    variance = max(own.variance, own.noise)
    freedom = own.freedom + LENT
    return replace(own, variance=(own.freedom * variance + LENT * mean) / freedom, freedom=freedom)


def _sides(differences: Sequence[Sequence[Stratum]]) -> tuple[list[Arm], Arm]:
    """The methods' sides, and the control's. Half of a difference's noise is taken for each of its sides'."""
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
