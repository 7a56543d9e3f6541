"""Laws of scores: a sum over chosen layers that a slow loop gives too, and shares that add up to one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.errors import ConfigError
from nait.neurons.layer_scores import (
    COMPONENT_SUMS,
    LAYER_WEIGHTS,
    SIMILARITIES,
    SLICES,
    choose_layers,
    layer_shares,
    total_scores,
)

N, C, L = 7, 2, 4


@pytest.mark.parametrize(
    ("layers", "wanted"),
    [
        ("all", [1, 2, 3, 4, 5, 6, 7, 8]),
        ("first_half", [1, 2, 3, 4]),
        ("middle", [3, 4, 5, 6]),
        ("last_half", [5, 6, 7, 8]),
        ("last", [8]),
        (3, [3]),
        (-1, [8]),
        (0, [0]),
        ([2, 5], [2, 5]),
        ([-2, 1], [7, 1]),
        ((0, 8), [0, 8]),
    ],
)
def test_layers_by_name_number_and_list(layers: Any, wanted: list[int]) -> None:
    assert choose_layers(layers, 8, 0) == wanted


@given(st.integers(1, 100))
def test_named_slices_hold_blocks_in_order_and_the_halves_make_the_whole(depth: int) -> None:
    named = {name: choose_layers(name, depth, 0) for name in SLICES}
    assert named["first_half"] + named["last_half"] == named["all"] == list(range(1, depth + 1))
    for numbers in named.values():
        assert numbers == sorted(set(numbers) & set(named["all"]))
    # The middle is central: as many blocks before it as after it.
    assert named["middle"][0] - 1 == depth - named["middle"][-1]


@pytest.mark.parametrize("layers", [[9], [-9], 9, [], [1, 1], [8, -1]])
def test_missing_and_repeated_layers_are_refused(layers: Any) -> None:
    with pytest.raises(ConfigError, match=r"selector\.layers: .*Give different numbers from 1 to 8"):
        choose_layers(layers, 8, 1)


def test_the_embeddings_are_a_layer_of_the_residual_site_alone() -> None:
    assert choose_layers([0], 8, 0) == [0]
    with pytest.raises(ConfigError, match="from 1 to 8"):
        choose_layers([0], 8, 1)


@pytest.mark.parametrize("layers", [None, 1.5, [1.5], ["1"], [True]])
def test_layers_that_are_not_whole_numbers_are_refused(layers: Any) -> None:
    with pytest.raises(ConfigError, match="not whole numbers"):
        choose_layers(layers, 8, 0)


def test_an_unknown_name_is_met_with_the_near_ones() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'middle'"):
        choose_layers("midle", 8, 0)


def test_two_rows_two_layers_by_hand() -> None:
    p = np.array([[[1.0, 10.0]], [[2.0, -10.0]]])
    scores, parts = total_scores(p)
    assert scores.tolist() == [11.0, -8.0]
    assert parts.tolist() == [[1.0, 10.0], [2.0, -10.0]]
    scores, _ = total_scores(p, similarity="cosine", norms_nl=np.array([[2.0, 20.0], [4.0, 10.0]]))
    assert scores.tolist() == [1.0, -0.5]
    scores, _ = total_scores(p, layer_weight="zscore")
    assert scores.tolist() == [0.0, 0.0]  # (-1 + 1, 1 - 1)
    scores, _ = total_scores(p, layer_weight="explained_variance", explained_variance_l=np.array([0.5, 0.1]))
    assert scores.tolist() == [1.5, 0.0]
    scores, _ = total_scores(p, component_sum="squared", shift_cl=np.array([[1.0, 5.0]]))
    assert scores.tolist() == [25.0, 226.0]


def slow(p: Any, norms: Any, ev: Any, shift: Any, similarity: str, weight: str, component_sum: str) -> Any:
    """Row by row, layer by layer, component by component."""
    parts = [[0.0] * L for _ in range(N)]
    for n in range(N):
        for layer in range(L):
            for c in range(C):
                value = p[n, c, layer] - (shift[c, layer] if shift is not None else 0.0)
                value /= norms[n, layer] if similarity == "cosine" else 1.0
                parts[n][layer] += value if component_sum == "signed" else value * value
    for layer in range(L):
        column = [parts[n][layer] for n in range(N)]
        mean = sum(column) / N
        spread = math.sqrt(sum((value - mean) ** 2 for value in column) / N)
        for n in range(N):
            if weight == "zscore":
                parts[n][layer] = (parts[n][layer] - mean) / spread
            elif weight == "explained_variance":
                parts[n][layer] *= ev[layer]
    return [sum(row) for row in parts], parts


@pytest.mark.parametrize("similarity", SIMILARITIES)
@pytest.mark.parametrize("weight", LAYER_WEIGHTS)
@pytest.mark.parametrize("component_sum", COMPONENT_SUMS)
@pytest.mark.parametrize("centred", [False, True], ids=["plain", "centred"])
def test_scores_equal_a_slow_loop(similarity: Any, weight: Any, component_sum: Any, centred: bool) -> None:
    draw = np.random.default_rng(0)
    p, norms, ev = draw.normal(size=(N, C, L)), draw.uniform(1, 3, size=(N, L)), draw.uniform(size=L)
    shift = draw.normal(size=(C, L)) if centred else None
    scores, parts = total_scores(
        p.astype(np.float32), norms_nl=norms, similarity=similarity, layer_weight=weight,
        explained_variance_l=ev, component_sum=component_sum, shift_cl=shift,
    )  # fmt: skip
    wanted, wanted_parts = slow(p, norms, ev, shift, similarity, weight, component_sum)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, wanted, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(parts, wanted_parts, rtol=1e-5, atol=1e-5)


def test_centering_a_signed_dot_product_shifts_all_scores_equally() -> None:
    draw = np.random.default_rng(1)
    p = draw.normal(size=(N, C, L))
    moved = total_scores(p)[0] - total_scores(p, shift_cl=draw.normal(size=(C, L)))[0]
    np.testing.assert_allclose(moved, moved[0])


def test_a_layer_that_says_nothing_has_no_weight() -> None:
    p = np.random.default_rng(2).normal(size=(N, 1, 2))
    p[:, :, 1] = 3.0
    scores, parts = total_scores(p, layer_weight="zscore")
    assert not parts[:, 1].any()
    assert np.isfinite(scores).all()


def test_a_reading_of_size_zero_has_no_cosine_and_no_infinity() -> None:
    scores, _ = total_scores(np.zeros((2, 1, 1)), similarity="cosine", norms_nl=np.zeros((2, 1)))
    assert scores.tolist() == [0.0, 0.0]


def test_zscore_gives_every_layer_the_same_spread() -> None:
    p = np.random.default_rng(3).normal(size=(50, 1, L)) * 10.0 ** np.arange(L)
    assert layer_shares(total_scores(p)[1])[-1] > 0.9
    _, parts = total_scores(p, layer_weight="zscore")
    np.testing.assert_allclose(parts.std(axis=0), 1)


def test_layer_shares_by_hand() -> None:
    # Parts (-1, 1) and (-3, 3) make scores (-4, 4): covariances 4 and 12 of a variance of 16.
    assert layer_shares(np.array([[-1.0, -3.0], [1.0, 3.0]])) == [0.25, 0.75]
    # A layer that works against the sum has a negative share.
    assert layer_shares(np.array([[1.0, -2.0], [-1.0, 2.0]])) == [-1.0, 2.0]


@given(st.integers(2, 30), st.integers(1, 8), st.integers(0, 2**32 - 1))
@settings(max_examples=50, deadline=None)
def test_layer_shares_add_up_to_one(rows: int, layers: int, seed: int) -> None:
    parts = np.random.default_rng(seed).normal(size=(rows, layers))
    assert sum(layer_shares(parts)) == pytest.approx(1.0, abs=1e-6)


def test_equal_scores_have_no_shares() -> None:
    assert layer_shares(np.ones((5, 3))) == [0.0, 0.0, 0.0]


def test_a_row_of_nan_has_no_score_and_changes_no_other() -> None:
    p = np.random.default_rng(5).normal(size=(20, 1, L))
    broken = np.concatenate([p, np.full((1, 1, L), np.nan)])
    for weight in ("none", "zscore"):
        scores, parts = total_scores(p, layer_weight=weight)
        others, more = total_scores(broken, layer_weight=weight)
        np.testing.assert_array_equal(others, [*scores, np.nan])
        assert layer_shares(more) == layer_shares(parts)
