"""The pool's mean feature, estimated from a sample of its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from nait.core.addresses import unit_intervals
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, fingerprint
from nait.core.dataset.token_table import trainable
from nait.core.ranking.rank_statistics import lowest_first
from nait.neurons.directions import Floats
from nait.signals.specs.activations import Mean, Reading


def sample(pool: Pool, able_n: npt.NDArray[np.bool_], rows: int, seed: int) -> Pool:
    """At most `rows` of the pool's rows, drawn by id and `seed`, independent of the file's order.

    `able_n` [N]: the rows that can be selected. Others do not count in the pool's mean, unless it has no such row.
    """
    if able_n.any() and not able_n.all():
        able = tuple(example for example, can in zip(pool.examples, able_n, strict=True) if can)
        pool = replace(pool, examples=able, fingerprint=fingerprint(able))
    if len(pool) <= rows:
        return pool
    draws = np.array(unit_intervals("pool sample", seed, keys=pool.ids))
    drawn = (pool.examples[row] for row in lowest_first(draws)[:rows])
    chosen = tuple(sorted(drawn, key=lambda example: example.id))
    return Pool(name=f"{pool.name} sample", examples=chosen, fingerprint=fingerprint(chosen))


def able_rows(pool: Pool, extractor: Extractor) -> npt.NDArray[np.bool_]:
    """Which rows [N] of the pool can be selected."""
    return trainable(pool, extractor.tokens(pool))


def mean_reading(rows: Pool, reading: Reading, extractor: Extractor) -> Floats:
    """The reading's mean [L, D] over the rows."""
    return np.asarray(extractor.measure(rows, [Mean(reading)])[0][0])
