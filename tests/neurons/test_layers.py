"""Laws of the layer sets that a sweep compares."""

from __future__ import annotations

import pytest

from nait.neurons.layer_scores import choose_layers
from nait.neurons.layer_sets import MOST, layer_sets


def test_a_model_of_six_blocks_gets_each_prefix_suffix_and_all_but_one() -> None:
    wanted = [
        "all", "middle", [1], [2], [3], [4], [5], [6],
        [1, 2], [1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [5, 6], [4, 5, 6], [3, 4, 5, 6], [2, 3, 4, 5, 6],
        [1, 3, 4, 5, 6], [1, 2, 4, 5, 6], [1, 2, 3, 5, 6], [1, 2, 3, 4, 6],
    ]  # fmt: skip
    assert layer_sets(6) == wanted


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 12, 33, 80])
def test_sets_are_distinct_and_each_single_layer_occurs_once(depth: int) -> None:
    chosen = [tuple(choose_layers(one, depth, 1)) for one in layer_sets(depth)]
    assert len(set(chosen)) == len(chosen)
    assert {one for one in chosen if len(one) == 1} == {(layer,) for layer in range(1, depth + 1)}
    assert tuple(range(1, depth + 1)) in chosen
    assert len(chosen) <= depth + 3 * MOST + 2


def test_a_deep_model_gets_evenly_spread_sets_with_the_ends() -> None:
    sets = layer_sets(32)
    lengths = [2, 6, 10, 14, 19, 23, 27, 31]
    assert [one for one in sets if one[0] == 1 and one == list(range(1, len(one) + 1))][1:] == [
        list(range(1, length + 1)) for length in lengths
    ]
    last = [one for one in sets if one[-1] == 32 and one == list(range(33 - len(one), 33))]
    assert [len(one) for one in last] == [1, *lengths]
    every = set(range(1, 33))
    assert [every - set(one) for one in sets if len(one) == 31][2:] == [{out} for out in lengths]


def test_a_model_of_one_block_has_one_set() -> None:
    assert layer_sets(1) == ["all"]
