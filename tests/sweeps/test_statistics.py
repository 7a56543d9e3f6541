"""Laws of the paired statistics: pairing, coverage of the truth, wins that are there and none that are not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from nait.sweeps.statistics import (
    Difference,
    Spread,
    Stratum,
    estimate,
    holm,
    paired,
    spread,
)

TABLES = 300


def table(
    generator: np.random.Generator, truth: float, shape: tuple[int, int], sds: tuple[float, float, float]
) -> Stratum:
    """Differences [S, I] with effects of seeds, of items and of neither."""
    seeds, items = shape
    of_seeds, of_items, of_neither = sds
    return Stratum(
        1.0,
        truth
        + of_seeds * generator.normal(size=(seeds, 1))
        + of_items * generator.normal(size=(1, items))
        + of_neither * generator.normal(size=shape),
    )


def test_pairs_are_the_seeds_and_items_that_both_have() -> None:
    method = {0: {"a": 1.0, "b": 0.0, "c": 1.0}, 1: {"a": 1.0, "b": 1.0}, 7: {"a": 0.0}}
    control = {0: {"a": 0.0, "b": 0.0}, 1: {"a": 0.0, "b": 1.0, "d": 1.0}}
    found = paired([(1.0, method), (-1.0, control)])
    assert found is not None
    assert found.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert paired([(1.0, {0: {"a": 1.0}}), (-1.0, {1: {"a": 1.0}})]) is None


def test_the_mean_is_exact_and_the_interval_holds_it() -> None:
    d_si = np.random.default_rng(0).normal(0.3, 1.0, size=(4, 50))
    found = estimate([Stratum(1.0, d_si)])
    assert found.value == pytest.approx(d_si.mean())
    assert found.low < found.value < found.high


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_the_interval_covers_the_truth_about_as_often_as_it_says(seeds: int) -> None:
    generator, hits = np.random.default_rng(seeds), []
    for sds in ((0.0, 0.0, 0.7), (0.0, 1.0, 0.01), (0.05, 0.3, 0.5), (0.2, 0.3, 0.3), (1.0, 0.0, 0.1)):
        for _ in range(TABLES):
            found = estimate([table(generator, 0.1, (seeds, 120), sds)], draws=2000)
            hits.append(found.low <= 0.1 <= found.high)
    assert 0.92 <= np.mean(hits) <= 0.98


def test_a_column_of_methods_is_covered_too_and_by_far_narrower_intervals() -> None:
    generator, hits, alone, together = np.random.default_rng(4), [], [], []
    for _ in range(80):
        control = 0.1 * generator.normal(size=(3, 1)) + 0.4 * generator.normal(size=(3, 80))
        items = 0.3 * generator.normal(size=(1, 80))
        cells = [
            Stratum(
                1.0,
                items + 0.1 * generator.normal(size=(3, 1)) + 0.4 * generator.normal(size=(3, 80)) - control,
            )
            for _ in range(6)
        ]
        spreads = [spread([cell]) for cell in cells]
        for k, cell in enumerate(cells):
            found = estimate([cell], others=spreads[:k] + spreads[k + 1 :], draws=1000)
            hits.append(found.low <= 0 <= found.high)
            together.append(found.high - found.low)
            single = estimate([cell], draws=1000)
            alone.append(single.high - single.low)
    assert 0.92 <= np.mean(hits) <= 0.98
    assert np.mean(together) < 0.8 * np.mean(alone)


def test_a_planted_difference_is_found_and_a_null_is_not() -> None:
    generator = np.random.default_rng(7)
    planted = [estimate([table(generator, 0.15, (3, 200), (0.02, 0.3, 0.4))]) for _ in range(40)]
    null = [estimate([table(generator, 0.0, (3, 200), (0.02, 0.3, 0.4))]) for _ in range(40)]
    assert np.mean([one.significant for one in planted]) > 0.8
    assert np.mean([one.significant for one in null]) < 0.15


def test_a_spread_alone_is_its_own_and_among_others_it_moves_towards_theirs() -> None:
    own = Spread(4.0, 2)
    assert own.beside([]) == own
    near = own.beside([Spread(1.0, 2)] * 6)
    lent = min(3.0, 12 / (1 + 5 / 4))
    assert near.variance == pytest.approx((2 * 4.0 + lent * 1.0) / (2 + lent))
    assert near.freedom == 2 + lent


def test_one_seed_leaves_the_items_alone_to_say_how_sure_it_is() -> None:
    d_i = np.random.default_rng(3).normal(0.2, 1.0, size=(1, 300))
    found = estimate([Stratum(1.0, d_i)])
    wanted = stats.norm.interval(0.95, loc=d_i.mean(), scale=d_i.std() / 300**0.5)
    assert (found.low, found.high) == pytest.approx(wanted, abs=0.01)


def test_many_seeds_without_item_effects_give_students_interval() -> None:
    d_si = np.repeat(np.random.default_rng(5).normal(0.1, 0.2, size=(6, 1)), 40, axis=1)
    found = estimate([Stratum(1.0, d_si)])
    wanted = stats.ttest_1samp(d_si[:, 0], 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval()), abs=2e-3)
    assert found.p == pytest.approx(wanted.pvalue, abs=2e-3)


def test_a_group_weighs_its_tasks_as_its_mean_does() -> None:
    ones, zeros = np.ones((2, 10)), np.zeros((2, 90))
    assert estimate([Stratum(0.5, ones), Stratum(0.5, zeros)]).value == pytest.approx(0.5)
    assert estimate([Stratum(0.1, ones), Stratum(0.9, zeros)]).value == pytest.approx(0.1)


def test_items_are_drawn_within_their_task() -> None:
    found = estimate([Stratum(0.5, np.ones((3, 10))), Stratum(0.5, -np.ones((3, 10)))])
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)


def test_equal_methods_differ_by_nothing() -> None:
    found = estimate([Stratum(1.0, np.zeros((3, 20)))])
    assert (found.low, found.value, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert not found.significant


def test_the_same_draws_give_the_same_interval() -> None:
    part = Stratum(1.0, np.random.default_rng(2).normal(size=(3, 30)))
    assert estimate([part]) == estimate([part])


def test_holms_correction_is_what_a_hand_computes() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_a_difference_that_only_survives_alone_is_not_significant_in_its_table() -> None:
    alone = Difference(0.1, 0.01, 0.19, 3, 100, p=0.03)
    assert alone.significant
    assert not Difference(0.1, 0.01, 0.19, 3, 100, p=0.03, adjusted=0.09).significant
    assert not Difference(0.1, -0.01, 0.21, 3, 100, p=0.03, adjusted=0.03).significant


def test_the_detectable_difference_is_found_with_the_power_it_names() -> None:
    generator = np.random.default_rng(11)
    sds = (0.0, 0.3, 0.4)
    smallest = np.mean([estimate([table(generator, 0.0, (3, 200), sds)]).detectable for _ in range(40)])
    found = [estimate([table(generator, float(smallest), (3, 200), sds)]).significant for _ in range(100)]
    assert 0.7 <= np.mean(found) <= 0.95
