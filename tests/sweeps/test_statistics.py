"""Laws of the paired bootstrap: pairing, coverage of the truth, and no win from noise."""

from __future__ import annotations

import numpy as np
import pytest

from nait.sweeps.statistics import bootstrap, paired


def test_pairs_are_the_seeds_and_items_that_both_have() -> None:
    method = {0: {"a": 1.0, "b": 0.0, "c": 1.0}, 1: {"a": 1.0, "b": 1.0}, 7: {"a": 0.0}}
    control = {0: {"a": 0.0, "b": 0.0}, 1: {"a": 0.0, "b": 1.0, "d": 1.0}}
    found = paired(method, control)
    assert found is not None
    assert found.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert paired({0: {"a": 1.0}}, {1: {"a": 1.0}}) is None


def test_the_mean_is_exact_and_the_interval_holds_it() -> None:
    d_si = np.random.default_rng(0).normal(0.3, 1.0, size=(4, 50))
    found = bootstrap(d_si)
    assert found.value == pytest.approx(d_si.mean())
    assert found.low < found.value < found.high


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    generator, hits = np.random.default_rng(1), 0
    for trial in range(200):
        items = generator.normal(0.1, 1.0, size=(1, 80)) + generator.normal(0.0, 0.3, size=(5, 80))
        found = bootstrap(items, draws=500, seed=trial)
        hits += found.low <= 0.1 <= found.high
    assert 0.88 <= hits / 200 <= 1.0


def test_equal_methods_differ_by_nothing() -> None:
    found = bootstrap(np.zeros((3, 20)))
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)
    assert not found.excludes_zero


def test_the_same_draws_give_the_same_interval() -> None:
    d_si = np.random.default_rng(2).normal(size=(3, 30))
    assert bootstrap(d_si) == bootstrap(d_si)
