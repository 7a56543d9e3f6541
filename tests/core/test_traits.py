"""Laws of compositions: shares add up, a part of the pool is held against the whole of it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nait.core.dataset.traits import Composition, Traits, chance_spread

IDS = ("a", "b", "c", "d", "e")


def traits(*, reverse: bool = False) -> Traits:
    step = -1 if reverse else 1
    return Traits(
        IDS[::step],
        labels={"topic": np.array(["x", "x", "y", "y", "z"])[::step]},
        marks={"code": np.array([True, False, False, True, False])[::step]},
        sizes={"characters": np.array([1.0, 2.0, 3.0, 4.0, 5.0])[::step]},
    )


def test_a_composition_is_what_a_hand_counts() -> None:
    found = traits().composition(["a", "c", "d"])
    assert found.rows == 3
    assert found.shares["topic"] == {"x": pytest.approx(1 / 3), "y": pytest.approx(2 / 3), "z": 0.0}
    assert found.marks == {"code": pytest.approx(2 / 3)}
    assert found.means == {"characters": pytest.approx(8 / 3)}


def test_shares_add_up_to_one_in_every_part() -> None:
    for chosen in (None, ["a"], ["e", "b"], list(IDS)):
        assert sum(traits().composition(chosen).shares["topic"].values()) == pytest.approx(1.0)


def test_the_order_of_rows_and_of_chosen_ids_does_not_matter() -> None:
    assert traits().composition() == traits(reverse=True).composition()
    assert traits().composition(["a", "d"]) == traits(reverse=True).composition(["d", "a"])


def test_values_are_sorted_by_their_frequency_in_the_pool_then_by_name() -> None:
    assert list(traits().composition(["e"]).shares["topic"]) == ["x", "y", "z"]


def test_no_row_has_no_composition() -> None:
    found = traits().composition([])
    numbers = [*found.shares["topic"].values(), *found.marks.values(), *found.means.values()]
    assert found.rows == 0
    assert all(math.isnan(number) for number in numbers)


def test_an_empty_pool_has_no_values() -> None:
    empty = Traits((), {"topic": np.array([], dtype=np.str_)}, {}, {})
    assert empty.composition() == Composition(0, {"topic": {}}, {}, {})


def test_a_trait_must_cover_every_row() -> None:
    with pytest.raises(ValueError, match="trait 'code' has shape"):
        Traits(IDS, {}, {"code": np.array([True])}, {})


def test_the_chance_spread_is_that_of_drawing_without_replacement() -> None:
    pool = np.repeat([1.0, 0.0], [30, 70])
    draws = [np.random.default_rng(seed).choice(pool, 20, replace=False).mean() for seed in range(4000)]
    assert chance_spread(0.3, 20, 100) == pytest.approx(np.std(draws), rel=0.05)
    assert chance_spread(0.3, 100, 100) == 0
    assert chance_spread(0.3, 0, 100) == 0
    assert chance_spread(1.0, 1, 1) == 0
