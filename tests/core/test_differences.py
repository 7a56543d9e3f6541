"""Laws of what can be found: the power is the named one, in the leaderboard's own test; more seeds or items, more."""

from __future__ import annotations

import numpy as np
import pytest

from nait.core.differences import Noise, describe, detectable_before, foresee
from nait.sweeps.statistics import Stratum, estimate

TABLES = 300


def power(truth: float, items: int, seeds: int, *, disagreement: float, seed_sd: float) -> float:
    """How often the test finds it: right or wrong outcomes, the items shared by the seeds."""
    generator, found = np.random.default_rng([items, seeds]), 0
    chances = [(disagreement - truth) / 2, 1 - disagreement, (disagreement + truth) / 2]
    for _ in range(TABLES):
        of_items = generator.choice([-1.0, 0.0, 1.0], size=items, p=chances)
        of_seeds = generator.normal(0.0, seed_sd, size=(seeds, 1))
        found += estimate([Stratum(1.0, of_items + of_seeds)], draws=2000).significant
    return found / TABLES


@pytest.mark.parametrize(
    ("items", "seeds", "disagreement", "seed_sd"),
    [
        (200, 1, 0.25, 0.02),
        (1000, 2, 0.3, 0.01),
        (200, 3, 0.25, 0.02),
        (1000, 3, 0.25, 0.02),
        (1000, 5, 0.1, 0.03),
    ],
)
def test_the_difference_is_found_with_the_power_that_is_named(
    items: int, seeds: int, disagreement: float, seed_sd: float
) -> None:
    truth = detectable_before(items, seeds, disagreement=disagreement, seed_sd=seed_sd)
    assert 0.7 <= power(truth, items, seeds, disagreement=disagreement, seed_sd=seed_sd) <= 0.9


def test_items_alone_are_the_normal_formula() -> None:
    wanted = (1.959964 + 0.841621) * (0.25 / 400) ** 0.5
    assert detectable_before(400, 1, disagreement=0.25, seed_sd=9.0) == pytest.approx(wanted, rel=1e-5)
    assert detectable_before(400, 3, disagreement=0.25, seed_sd=0.0) == pytest.approx(wanted, rel=1e-3)


def test_seeds_alone_are_students_test() -> None:
    """Its power at that difference, by the noncentral t."""
    from scipy import stats

    for seeds in (3, 4, 6):
        found = detectable_before(10**9, seeds, disagreement=0.25, seed_sd=1.0)
        critical = stats.t.ppf(0.975, seeds - 1)
        beyond = stats.nct.sf(critical, seeds - 1, found * seeds**0.5)
        assert beyond == pytest.approx(0.8, abs=0.01)


def test_more_of_anything_finds_smaller_differences() -> None:
    def found(items: int, seeds: int) -> float:
        return detectable_before(items, seeds, disagreement=0.25, seed_sd=0.02)

    assert found(4000, 3) < found(1000, 3) < found(100, 3)
    assert found(1000, 5) < found(1000, 3) < found(1000, 2)


def test_methods_that_never_differ_are_told_apart_by_anything() -> None:
    assert detectable_before(10, 3, disagreement=0.0, seed_sd=0.0) == 0.0


def test_all_items_and_the_smallest_task_are_foreseen() -> None:
    whole, part = foresee({"gsm8k": 1319, "mmlu": 14042, "tiny": 100}, 3, {})
    assert (whole.of, whole.items) == ("all items", 15461)
    assert (part.of, part.items) == ("tiny", 100)
    assert whole.difference < part.difference
    assert len(foresee({"gsm8k": 1319}, 1, {})) == 1
    assert foresee({}, 3, {}) == ()


def test_a_line_says_what_is_assumed_and_what_was_measured() -> None:
    items = {"gsm8k": 1319}
    assumed = describe(foresee(items, 3, {}))
    assert "with 3 seeds" in assumed
    assert (
        "Assumed: two methods disagree on 25% of all items, seeds spread their difference by 0.020."
        in assumed
    )
    half = describe(foresee(items, 3, {"": Noise(disagreement=0.1, pairs=4)}))
    assert "From the store: two methods disagree on 10%" in half
    assert "Assumed: seeds" in half
    alone = describe(foresee(items, 1, {}))
    assert "one seed, whose own spread is not in it" in alone
    assert "seeds spread" not in alone
