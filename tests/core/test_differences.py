"""Laws of what can be found: the power is the named one, in the leaderboard's own test; more seeds or items, more."""

from __future__ import annotations

import numpy as np
import pytest

from nait.core.statistics.power import (
    Comparisons,
    Noise,
    at_most_one,
    describe,
    detectable_difference,
    minimum_effects,
)
from nait.sweeps.stats.paired import Stratum, adjusted_family, estimate
from nait.sweeps.stats.seed_spread import column

TABLES = 200
ONE = Comparisons()


def power(truth: float, items: int, seeds: int, noise: Noise, comparisons: Comparisons) -> float:
    """How often the leaderboard's test finds it: the items shared by the seeds, each method's seeds its own."""
    generator, found = np.random.default_rng([items, seeds]), 0
    spread = noise.seed_sd / 2**0.5
    for _ in range(TABLES):
        control = generator.normal(0.0, spread, size=(seeds, 1))
        parts = {}
        for m in range(comparisons.methods):
            gain = truth if m == 0 else 0.0
            chances = [
                (noise.disagreement - gain) / 2,
                1 - noise.disagreement,
                (noise.disagreement + gain) / 2,
            ]
            of_items = generator.choice([-1.0, 0.0, 1.0], size=items, p=chances)
            own = generator.normal(0.0, spread, size=(seeds, 1))
            parts[m] = [Stratum(1.0, of_items + own - control)]
        sides = column(parts)
        table = [estimate(part, sides=sides[m]) for m, part in parts.items()]
        found += adjusted_family(table)[0].significant
    return found / TABLES


@pytest.mark.parametrize(
    ("items", "seeds", "disagreement", "seed_sd", "comparisons"),
    [
        (200, 3, 0.25, 0.02, ONE),
        (1000, 5, 0.1, 0.03, ONE),
        (1000, 3, 0.3, 0.01, Comparisons(6, 6)),
        (200, 3, 0.25, 0.02, Comparisons(12, 12)),
        (200, 5, 0.25, 0.04, Comparisons(12, 12)),
    ],
)
def test_the_difference_is_found_after_correction_with_the_power_that_is_named(
    items: int, seeds: int, disagreement: float, seed_sd: float, comparisons: Comparisons
) -> None:
    noise = Noise(disagreement, seed_sd)
    truth = detectable_difference(items, seeds, noise, comparisons)
    assert 0.7 <= power(truth, items, seeds, noise, comparisons) <= 0.92


def test_items_alone_are_the_normal_formula() -> None:
    wanted = (1.959964 + 0.841621) * (0.25 / 400 + 1 / 400**2) ** 0.5
    assert detectable_difference(400, 3, Noise(seed_sd=0.0), ONE) == pytest.approx(wanted, rel=1e-3)
    corrected = (2.864943 + 0.841621) * (0.25 / 400 + 1 / 400**2) ** 0.5  # the normal's quantile at 0.05 / 12
    found = detectable_difference(400, 3, Noise(seed_sd=0.0), Comparisons(1, 12))
    assert found == pytest.approx(corrected, rel=2e-3)


def test_seeds_alone_are_students_test() -> None:
    """Its power at that difference, by the noncentral t."""
    from scipy import stats

    for seeds in (3, 4, 6):
        found = detectable_difference(10**9, seeds, Noise(0.25, 1.0), ONE)
        critical = stats.t.ppf(0.975, seeds - 1)
        beyond = stats.nct.sf(critical, seeds - 1, found * seeds**0.5)
        assert beyond == pytest.approx(0.8, abs=0.02)


def test_more_of_anything_finds_smaller_differences() -> None:
    def found(items: int, seeds: int) -> float:
        return detectable_difference(items, seeds, Noise(), ONE)

    assert found(4000, 3) < found(1000, 3) < found(100, 3)
    assert found(1000, 5) < found(1000, 3) < found(1000, 2)


def test_more_comparisons_find_larger_differences_only() -> None:
    found = [detectable_difference(1000, 3, Noise(), Comparisons(4, count)) for count in (1, 12, 200)]
    assert found == sorted(found)
    assert found[2] > 1.3 * found[0]


def test_outcomes_that_change_with_the_seed_are_averaged_away() -> None:
    found = [detectable_difference(500, 5, Noise(lasting=share), ONE) for share in (1.0, 0.5)]
    assert found[1] < 0.95 * found[0]


def test_methods_that_never_differ_leave_the_doubt_of_one_item() -> None:
    found = detectable_difference(10, 3, Noise(0.0, 0.0), ONE)
    assert found == pytest.approx((1.959964 + 0.841621) / 10, rel=1e-3)


def test_all_items_and_the_smallest_task_are_foreseen() -> None:
    whole, part = minimum_effects({"gsm8k": 1319, "mmlu": 14042, "tiny": 100}, 3, {}, ONE)
    assert (whole.of, whole.items) == ("all items", 15461)
    assert (part.of, part.items) == ("tiny", 100)
    assert whole.difference < part.difference
    assert len(minimum_effects({"gsm8k": 1319}, 1, {}, ONE)) == 1
    assert minimum_effects({}, 3, {}, ONE) == ()


def test_a_line_says_what_is_assumed_and_what_was_measured() -> None:
    items = {"gsm8k": 1319}
    assumed = describe(minimum_effects(items, 3, {}, Comparisons(11, 22)))
    assert "after Holm's correction for 22 comparisons, with 3 seeds" in assumed
    assert (
        "Assumed: two methods disagree on 25% of all items, seeds spread their difference by 0.020."
        in assumed
    )
    half = describe(minimum_effects(items, 3, {"": Noise(disagreement=0.1, pairs=4)}, ONE))
    assert "From the store: two methods disagree on 10%" in half
    assert "Assumed: seeds" in half


def test_one_seed_reports_no_detectable_difference_and_that_of_three() -> None:
    (alone,) = minimum_effects({"gsm8k": 1319}, 1, {}, ONE)
    (three,) = minimum_effects({"gsm8k": 1319}, 3, {}, ONE)
    said = describe((alone,))
    assert said.startswith("One seed finds no difference")
    assert "with 3 seeds" in said
    assert alone.difference == three.difference


def test_what_no_two_shares_differ_by_is_not_a_number() -> None:
    assert at_most_one(0.1234) == "0.123"
    assert at_most_one(150.0) == "above 1"
