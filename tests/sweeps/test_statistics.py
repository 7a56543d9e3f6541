"""Laws of the paired statistics: pairing, coverage of the truth, wins that are there and none that are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

from nait.core.statistics.significance import MeanDistribution, SeedVariance
from nait.sweeps.stats.paired import (
    Difference,
    Floats,
    Stratum,
    adjusted_family,
    detectable_difference,
    estimate,
    holm,
    noise,
    paired,
    share_half_width,
    unpooled,
)
from nait.sweeps.stats.seed_spread import column

from .tables import differences, outcomes, table

SEEDS = [2, 3, 5]


def covered(found: Difference, truth: float = 0.0) -> bool:
    return found.low <= truth <= found.high


def one_table(
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


def shares(seeds: int, tables: int, *, wide: int | None) -> tuple[float, float]:
    """How often intervals hold the truth (of the wide method, where one is), and how often a table errs at all."""
    generator = np.random.default_rng([seeds, tables])
    hits, errors = [], []
    for _ in range(tables):
        y_msi = outcomes(generator, seeds=seeds, wide=wide)
        if wide:
            hits += [covered(one) for one in table(y_msi, only=[wide])]
        else:
            found = table(y_msi)
            hits += [covered(one) for one in found]
            errors.append(any(one.significant for one in found))
    return float(np.mean(hits)), float(np.mean(errors)) if errors else 0.0


@pytest.mark.parametrize("seeds", SEEDS)
def test_a_method_whose_seeds_spread_four_times_the_others_is_covered(seeds: int) -> None:
    coverage, _ = shares(seeds, 300, wide=1)
    assert coverage >= 0.92


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("wide", [None, 0])
def test_a_table_of_equal_methods_errs_seldom_even_where_the_control_s_seeds_spread(
    seeds: int, wide: int | None
) -> None:
    coverage, errors = shares(seeds, 60, wide=wide)
    assert coverage >= 0.92
    assert errors <= 0.08  # of 60 tables; 2,000 are simulated below


@pytest.mark.slow
@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("wide", [None, 0, 1])
def test_coverage_and_family_wise_error_over_many_tables(seeds: int, wide: int | None) -> None:
    coverage, errors = shares(seeds, 2000, wide=wide)
    assert 0.925 <= coverage <= 0.995
    assert errors <= 0.05


@pytest.mark.parametrize(("seeds", "least"), [(2, 0.97), (3, 0.94), (5, 0.92)])
def test_one_method_with_its_control_is_covered_by_its_own_variance(seeds: int, least: float) -> None:
    generator = np.random.default_rng(seeds)
    for wide in (None, 0):
        found = [table(outcomes(generator, seeds=seeds, methods=2, wide=wide))[0] for _ in range(300)]
        assert np.mean([covered(one) for one in found]) >= least


def test_one_seed_finds_nothing_whatever_it_shows() -> None:
    y_msi = outcomes(np.random.default_rng(0), seeds=1, gain=3.0)
    found = table(y_msi)
    assert found[0].low > 0.3
    assert not any(one.significant or one.tested for one in found)
    assert {one.adjusted for one in found} == {None}
    assert {one.p for one in found} == {1.0}


def test_one_seed_leaves_the_items_alone_to_say_how_sure_it_is() -> None:
    d_i = np.random.default_rng(3).normal(0.2, 1.0, size=(1, 300)).clip(-1, 1)
    found = estimate([Stratum(1.0, d_i)])
    wanted = stats.norm.interval(0.95, loc=d_i.mean(), scale=(d_i.var(ddof=1) / 300 + 1 / 300**2) ** 0.5)
    assert (found.low, found.high) == pytest.approx(wanted, abs=1e-6)


def test_a_large_effect_is_significant_among_thousands_of_lines() -> None:
    generator = np.random.default_rng(5)
    large = estimate([one_table(generator, 0.5, (5, 500), (0.01, 0.3, 0.3))])
    null = [Difference(0.0, -1.0, 1.0, 5, 500, p=0.5)] * 4000
    first, *_ = adjusted_family([large, *null])
    assert first.family == 4001
    assert first.significant


def test_p_is_exact_in_the_tail() -> None:
    for freedom in (1.0, 1.5, 2.0, 4.0, 9.0):
        of_mean = MeanDistribution(0.0, ((1.0, freedom),))
        for chance in (0.5, 0.05, 1e-4, 1e-8):
            assert of_mean.two_sided_p(stats.t.isf(chance / 2, freedom)) == pytest.approx(chance, rel=1e-3)
        assert of_mean.half_width() == pytest.approx(stats.t.isf(0.025, freedom), rel=1e-3)
    assert MeanDistribution(4.0).two_sided_p(20.0) == pytest.approx(2 * stats.norm.sf(10.0), rel=1e-3)


def test_a_sum_of_sides_is_that_of_independent_ts() -> None:
    generator = np.random.default_rng(0)
    of_mean = MeanDistribution(0.5, ((1.0, 3.0), (2.0, 2.0)))
    drawn = (
        0.5**0.5 * generator.normal(size=400_000)
        + generator.standard_t(3, size=400_000)
        + 2**0.5 * generator.standard_t(2, size=400_000)
    )
    for distance in (0.5, 2.0, 6.0):
        assert of_mean.two_sided_p(distance) == pytest.approx(np.mean(np.abs(drawn) > distance), rel=0.02)


def test_three_variances_of_one_degree_of_freedom_make_a_sum_of_cauchy_variables() -> None:
    of_mean = MeanDistribution(0.0, ((1.0, 1.0),) * 3)
    for level in (0.05, 0.005):
        assert of_mean.half_width(level) == pytest.approx(stats.cauchy.isf(level / 2, scale=3.0), rel=1e-3)
    assert of_mean.two_sided_p(10.0) == pytest.approx(2 * stats.cauchy.sf(10.0, scale=3.0), rel=1e-3)


def test_the_interval_excludes_zero_where_p_is_below_five_percent() -> None:
    generator = np.random.default_rng(2)
    for _ in range(60):
        found = estimate([one_table(generator, 0.06, (3, 80), (0.02, 0.3, 0.3))])
        assert found.excludes_zero == (found.p < 0.05)


def reml_error(d_si: Floats) -> float:
    """The standard error of the mean by REML of mean + seed + item + rest, maximised without any shortcut."""
    seeds, items = d_si.shape
    y, ones = d_si.ravel(), np.ones((d_si.size, 1))
    of_seeds = np.kron(np.eye(seeds), np.ones((items, items)))
    of_items = np.kron(np.ones((seeds, seeds)), np.eye(items))

    def covariance(logs: Floats) -> Floats:
        a, b, e = np.exp(logs)
        return np.asarray(a * of_seeds + b * of_items + e * np.eye(d_si.size))

    def deviance(logs: Floats) -> float:
        inverse = np.linalg.inv(covariance(logs))
        information = float((ones.T @ inverse @ ones).item())
        rest = y - float((ones.T @ inverse @ y).item()) / information
        _, determinant = np.linalg.slogdet(covariance(logs))
        return float(determinant + np.log(information) + rest @ inverse @ rest)

    start = np.log([d_si.mean(axis=1).var() + 1e-3, d_si.mean(axis=0).var() + 1e-3, d_si.var()])
    best = optimize.minimize(
        deviance, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10, "maxiter": 4000}
    )
    return float((ones.T @ np.linalg.inv(covariance(best.x)) @ ones).item()) ** -0.5


def test_the_error_is_that_of_a_mixed_model_and_one_more_item() -> None:
    generator = np.random.default_rng(8)
    for _ in range(3):
        part = one_table(generator, 0.1, (4, 14), (0.3, 0.3, 0.2))
        part = Stratum(1.0, part.d_si / np.abs(part.d_si).max())
        found = estimate([part])
        of_mean = MeanDistribution.of(
            found.over_items, [SeedVariance(unpooled([part]).variance, 3, noise([part]))], 4
        )
        assert found.error == pytest.approx(of_mean.error)
        assert (of_mean.error**2 - 1 / 14**2) ** 0.5 == pytest.approx(reml_error(part.d_si), rel=1e-4)


def reml_of_seeds(d_ms: Floats) -> tuple[float, float]:
    """The methods' and the control's variance over seeds by REML of d_m + a_ms - c_s, all a_ms alike."""
    count, seeds = d_ms.shape
    y = d_ms.ravel()
    fixed = np.kron(np.eye(count), np.ones((seeds, 1)))
    shared = np.kron(np.ones((count, count)), np.eye(seeds))

    def deviance(logs: Floats) -> float:
        a, c = np.exp(logs)
        inverse = np.linalg.inv(a * np.eye(len(y)) + c * shared)
        information = fixed.T @ inverse @ fixed
        rest = y - fixed @ np.linalg.solve(information, fixed.T @ inverse @ y)
        logdets = -np.linalg.slogdet(inverse)[1] + np.linalg.slogdet(information)[1]
        return float(logdets + rest @ inverse @ rest)

    best = optimize.minimize(
        deviance, np.log([y.var(), y.var()]), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-11}
    )
    a, c = np.exp(best.x)
    return float(a), float(c)


def test_a_column_s_interval_is_that_of_a_mixed_model_when_methods_have_equal_variance() -> None:
    """The mean of the methods' variances, before the noise that both models hold is taken off, and the control's."""
    generator = np.random.default_rng(4)
    for _ in range(3):
        d_ms = 0.1 * generator.normal(size=(6, 4)) - 0.2 * generator.normal(size=(1, 4))
        parts = {m: [Stratum(1.0, np.repeat(d_s[:, None], 5, axis=1))] for m, d_s in enumerate(d_ms)}
        sides = column(parts)
        methods, control = reml_of_seeds(d_ms)
        # lending moves each towards the mean of the others and leaves the mean of all
        assert np.mean([own.variance for own, _ in sides.values()]) == pytest.approx(methods, rel=0.03)
        assert sides[0][1].variance == pytest.approx(control, rel=0.01)


def test_a_control_s_variance_has_its_own_degrees_of_freedom() -> None:
    parts = differences(outcomes(np.random.default_rng(1), seeds=3))
    for own, control in column(parts).values():
        assert control.freedom == 2
        assert own.freedom == 2.5


def test_two_methods_have_each_their_difference_s_own_spread() -> None:
    parts = differences(outcomes(np.random.default_rng(1), seeds=3, methods=3))
    assert column(parts) == {m: (unpooled(part),) for m, part in parts.items()}


def test_a_model_that_no_seed_changes_has_no_side_of_its_own() -> None:
    y_msi = outcomes(np.random.default_rng(1), seeds=3, methods=6)
    y_msi[1] = y_msi[1, 0]
    parts = differences(y_msi)
    sides = column(parts, frozenset([1]))
    assert sides[1] == sides[2][1:]
    assert column({m: part for m, part in parts.items() if m > 1}) == {m: sides[m] for m in (2, 3, 4, 5)}


def test_a_planted_difference_is_found_and_a_null_is_not() -> None:
    generator = np.random.default_rng(7)
    planted = [estimate([one_table(generator, 0.25, (3, 200), (0.02, 0.3, 0.4))]) for _ in range(40)]
    null = [estimate([one_table(generator, 0.0, (3, 200), (0.02, 0.3, 0.4))]) for _ in range(40)]
    assert np.mean([one.significant for one in planted]) > 0.8
    assert np.mean([one.significant for one in null]) < 0.15


def test_many_seeds_without_item_effects_give_students_interval() -> None:
    d_si = np.repeat(np.random.default_rng(5).normal(0.1, 0.2, size=(6, 1)), 4000, axis=1)
    found = estimate([Stratum(1.0, d_si)])
    wanted = stats.ttest_1samp(d_si[:, 0], 0.0)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval()), abs=1e-4)
    assert found.p == pytest.approx(wanted.pvalue, abs=1e-4)


def test_a_group_weighs_its_tasks_as_its_mean_does() -> None:
    ones, zeros = np.ones((2, 10)), np.zeros((2, 90))
    assert estimate([Stratum(0.5, ones), Stratum(0.5, zeros)]).value == pytest.approx(0.5)
    assert estimate([Stratum(0.1, ones), Stratum(0.9, zeros)]).value == pytest.approx(0.1)


def test_items_vary_within_their_task_alone() -> None:
    apart = estimate([Stratum(0.5, np.ones((3, 10))), Stratum(0.5, -np.ones((3, 10)))])
    alike = estimate([Stratum(0.5, np.ones((3, 10))), Stratum(0.5, np.ones((3, 10)))])
    assert apart.error == pytest.approx(alike.error)


def test_equal_outcomes_leave_the_doubt_of_one_item() -> None:
    found = estimate([Stratum(1.0, np.zeros((3, 20)))])
    assert (found.value, found.p) == (0.0, 1.0)
    assert found.high == pytest.approx(1.96 / 20, rel=1e-3)
    assert not found.significant


def test_the_interval_of_a_loss_has_the_loss_s_own_unit() -> None:
    d_si = np.random.default_rng(4).normal(0.3, 1.0, size=(3, 12))
    found = estimate([Stratum(1.0, d_si, bounded=False)])
    for scale in (0.01, 1.4427, 100.0):
        scaled = estimate([Stratum(1.0, scale * d_si, bounded=False)])
        assert (scaled.low, scaled.high) == pytest.approx((scale * found.low, scale * found.high))
    moved = estimate([Stratum(1.0, d_si + 4.0, bounded=False)])
    assert moved.high - moved.low == pytest.approx(found.high - found.low)
    alone = estimate([Stratum(1.0, d_si[:, :1], bounded=False)])
    assert alone.high - alone.low > 2 * abs(alone.value)


@pytest.mark.parametrize("shape", [(2, 5), (3, 5), (3, 13), (5, 13), (3, 60)])
def test_the_interval_of_a_small_loss_holds_the_truth(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(11)
    parts = [one_table(generator, 0.02, shape, (0.002, 0.01, 0.01)) for _ in range(200)]
    found = [estimate([replace(part, bounded=False)]) for part in parts]
    assert np.mean([covered(one, 0.02) for one in found]) >= 0.92
    wide = [estimate([part]) for part in parts]
    assert np.mean([one.high - one.low for one in found]) < np.mean([one.high - one.low for one in wide]) / 2


@pytest.mark.parametrize("shape", [(1, 2), (3, 2), (5, 2), (1, 3), (3, 3), (5, 3), (3, 4), (5, 6)])
def test_the_interval_of_a_few_losses_holds_the_truth(shape: tuple[int, int]) -> None:
    generator = np.random.default_rng(12)
    sds = (0.002 if shape[0] > 1 else 0.0, 0.05, 0.02)
    found = [estimate([replace(one_table(generator, 0.02, shape, sds), bounded=False)]) for _ in range(400)]
    assert np.mean([covered(one, 0.02) for one in found]) >= 0.93


@pytest.mark.parametrize("items", [3, 5])
def test_a_small_p_value_of_a_few_losses_is_as_seldom_as_it_says(items: int) -> None:
    generator = np.random.default_rng(13)
    parts = [one_table(generator, 0.0, (3, items), (0.002, 0.05, 0.02)) for _ in range(2000)]
    found = [estimate([replace(part, bounded=False)]).p for part in parts]
    for level in (0.05, 0.01):
        assert np.mean(np.array(found) < level) <= 1.3 * level


def test_equal_losses_leave_the_doubt_of_one_item_too() -> None:
    found = estimate([Stratum(1.0, np.full((3, 2), -0.5), bounded=False)])
    assert found.low < -0.5 < found.high
    assert found.p > 0.001


def test_few_losses_detect_only_what_student_s_t_does() -> None:
    parts = [one_table(np.random.default_rng(k), 0.0, (3, 3), (0.002, 0.05, 0.02)) for k in range(3)]
    few = [estimate([replace(part, bounded=False)]) for part in parts]
    counted = [replace(one, items_freedom=np.inf) for one in few]
    assert (detectable_difference(few) or 0) > 1.5 * (detectable_difference(counted) or 0)


@pytest.mark.parametrize("moved", [4, 6, 8, 10])
def test_few_items_that_all_change_equally_have_about_a_sign_tests_p_value(moved: int) -> None:
    d_i = np.zeros((1, 200))
    d_i[0, :moved] = 1.0
    found = estimate([Stratum(1.0, d_i)])
    wanted = stats.binomtest(moved, moved).pvalue
    assert 0.5 * wanted < MeanDistribution(found.over_items).two_sided_p(found.value) < 2 * wanted


def test_winning_all_items_gives_no_zero_p_value() -> None:
    found = estimate([Stratum(1.0, np.ones((3, 5)))])
    assert found.high - found.low > 0.5


def test_a_share_near_the_edge_has_wilson_s_longer_arm() -> None:
    for right in (0, 1, 3, 30, 60):
        share = right / 60
        wilson = stats.binomtest(right, 60).proportion_ci(method="wilson")
        usual = 1.959964 * (share * (1 - share) / 60) ** 0.5
        wanted = max(usual, share - wilson.low, wilson.high - share)
        assert share_half_width(share, usual, 60) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize(("share", "arm"), [(0.2, 0.8), (0.125, 0.875), (0.9, 0.9), (0.5, 0.5)])
def test_the_longer_arm_of_a_share_ends_at_0_or_1(share: float, arm: float) -> None:
    assert share_half_width(share, 1.2, 20) == pytest.approx(arm)


def test_the_same_table_gives_the_same_interval() -> None:
    part = Stratum(1.0, np.random.default_rng(2).normal(size=(3, 30)))
    assert estimate([part]) == estimate([part])


def test_holms_correction_is_what_a_hand_computes() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_what_is_not_tested_does_not_count_in_the_family() -> None:
    tested = Difference(0.1, 0.01, 0.19, 3, 100, p=0.03)
    first, second = adjusted_family([tested, Difference(0.1, 0.01, 0.19, 1, 100)])
    assert (first.adjusted, first.family, second.adjusted) == (0.03, 1, None)
    assert first.significant


def test_a_difference_that_only_survives_alone_is_not_significant_in_its_table() -> None:
    alone = Difference(0.1, 0.01, 0.19, 3, 100, p=0.03)
    assert alone.significant
    assert not Difference(0.1, 0.01, 0.19, 3, 100, p=0.03, adjusted=0.09).significant
    assert not Difference(0.1, -0.01, 0.21, 3, 100, p=0.03, adjusted=0.03).significant


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_findable_difference_is_found_after_correction_with_the_power_it_names(seeds: int) -> None:
    generator = np.random.default_rng([11, seeds])
    said = [detectable_difference(table(outcomes(generator, seeds=seeds))) for _ in range(12)]
    value = float(np.median([one for one in said if one is not None]))
    gain, truth = 0.0, 0.0
    while truth < value:
        gain += 0.01
        truth = float(stats.norm.cdf(gain / (1 + 1 + 0.25 + 0.09**2) ** 0.5)) - 0.5
    found = [table(outcomes(generator, seeds=seeds, gain=gain))[0].significant for _ in range(60)]
    assert 0.65 <= np.mean(found) <= 0.95
    assert detectable_difference(table(outcomes(generator, seeds=1))) is None


def test_equal_outcomes_say_nothing_about_the_smallest_detectable_difference() -> None:
    equal = [Stratum(1.0, np.zeros((3, 5)), bounded=False)]
    family = adjusted_family([estimate(equal), estimate(equal)])
    assert [one.value for one in family] == [0.0, 0.0]
    assert detectable_difference(family) is None
    counted = adjusted_family([estimate([Stratum(1.0, np.zeros((3, 5)))])])
    assert (detectable_difference(counted) or 0.0) > 0.2
