"""The pool's mean feature, estimated from a sample of its rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nait.core.addresses import unit_intervals
from nait.core.contracts import Extractor
from nait.core.dataset.examples import Pool, fingerprint
from nait.core.ranking.rank_statistics import lowest_first
from nait.neurons.directions import Floats
from nait.signals.specs.activations import Mean, Reading


def sample(pool: Pool, rows: int, seed: int) -> Pool:
    """At most `rows` rows of the pool that have an answer, drawn by id and `seed`, independent of the file's order.

    Rows without an answer cannot be selected, so they do not count in the pool's mean.
    """
    answered = tuple(example for example in pool.examples if example.answered)
    if answered and len(answered) < len(pool):
        pool = replace(pool, examples=answered, fingerprint=fingerprint(answered))
    if len(pool) <= rows:
        return pool
    draws = np.array(unit_intervals("pool sample", seed, keys=pool.ids))
    drawn = (pool.examples[row] for row in lowest_first(draws)[:rows])
    chosen = tuple(sorted(drawn, key=lambda example: example.id))
    return Pool(name=f"{pool.name} sample", examples=chosen, fingerprint=fingerprint(chosen))


def mean_reading(rows: Pool, reading: Reading, extractor: Extractor) -> Floats:
    """The reading's mean [L, D] over the rows."""
    return np.asarray(extractor.measure(rows, [Mean(reading)])[0][0])
