"""Laws of directions: what float64 SVD says, turned by a stated rule, or an error that names the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.errors import DataError
from nait.neurons.directions import KINDS, SIGNS, Directions, cosines, find_directions

Shape = tuple[int, int, int]


def features(n: int, layers: int, width: int, seed: int = 0) -> np.ndarray:
    """[n, L, D] rows with a mean of their own and axes of very different spread, hidden by a rotation."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(n, layers, width)) * 0.6 ** np.arange(width) + draw.normal(size=(layers, width))
    turn, _ = np.linalg.qr(draw.normal(size=(width, width)))
    return np.asarray(x @ turn)


def one_layer(rows: list[list[float]], **options: Any) -> Directions:
    return find_directions(np.array(rows, dtype=np.float64)[:, None], target="t", **options)


def slow(x_nd: np.ndarray, components: int, *, centred: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """The leading right singular vectors and their shares, by the textbook."""
    x = x_nd - x_nd.mean(axis=0) if centred else x_nd
    _, s, vt = np.linalg.svd(x, full_matrices=False)
    return vt[:components], (s**2 / (s**2).sum())[:components]


shapes = st.tuples(st.integers(4, 40), st.integers(1, 3), st.integers(3, 24))


@pytest.mark.parametrize(("n", "width"), [(6, 32), (16, 16), (60, 8)], ids=["n<D", "n=D", "n>D"])
@pytest.mark.parametrize("components", [1, 4])
@pytest.mark.parametrize("kind", ["pca", "uncentered"])
def test_directions_equal_an_svd(n: int, width: int, components: int, kind: Any) -> None:
    x = features(n, 3, width)
    found = find_directions(x, target="t", kind=kind, components=components)
    assert found.vectors.shape == (3, components, width)
    for layer in range(3):
        v, shares = slow(x[:, layer], components, centred=kind == "pca")
        mu = x[:, layer].mean(axis=0)
        v = v * np.sign(v @ mu)[:, None]
        np.testing.assert_allclose(found.vectors[layer], v, atol=1e-7)
        np.testing.assert_allclose(found.explained_variance[layer], shares, atol=1e-10)
        np.testing.assert_allclose(found.mean[layer], mu, atol=1e-12)
        np.testing.assert_allclose(found.sign_margin[layer], mu @ v[0] / np.linalg.norm(mu), atol=1e-7)


@given(shapes, st.integers(0, 2**32 - 1), st.sampled_from(SIGNS), st.integers(1, 2))
@settings(max_examples=40, deadline=None)
def test_components_are_orthonormal_and_ordered_by_their_share(
    shape: Shape, seed: int, sign: Any, components: int
) -> None:
    x = features(*shape, seed=seed)
    found = find_directions(
        x, target="t", sign=sign, components=components, pool_mean_ld=features(5, *shape[1:]).mean(axis=0)
    )
    for v_cd, shares in zip(found.vectors, found.explained_variance, strict=True):
        np.testing.assert_allclose(v_cd @ v_cd.T, np.eye(components), atol=1e-7)
        assert list(shares) == sorted(shares, reverse=True)
        assert 0 < shares.sum() <= 1 + 1e-12


def test_four_rows_by_hand() -> None:
    """About (2, 0): +-2 along x, +-1 along y, so 8 of 10 parts of the variance lie along x."""
    found = one_layer([[4, 0], [0, 0], [2, 1], [2, -1]], components=2)
    np.testing.assert_allclose(found.vectors[0, 0], [1, 0], atol=1e-12)
    np.testing.assert_allclose(found.explained_variance[0], [0.8, 0.2])
    np.testing.assert_allclose(found.mean[0], [2, 0])
    assert found.sign_margin[0] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("sign", "pool_mean", "wanted"),
    [
        ("shift", None, [-1, 0]),  # mu = (-1, 3): mu . (1, 0) = -1
        ("pool", [-4, 9], [1, 0]),  # mu - pool mean = (3, -6)
        ("pool", [1, 9], [-1, 0]),  # (-2, -6)
        ("none", None, [1, 0]),  # as found: the largest entry is positive
    ],
)
def test_the_sign_rule_by_hand(sign: Any, pool_mean: Any, wanted: list[float]) -> None:
    rows = [[1.0, 3.0], [-3.0, 3.0], [-1.0, 4.0], [-1.0, 2.0]]
    found = one_layer(rows, sign=sign, pool_mean_ld=None if pool_mean is None else np.array([pool_mean]))
    np.testing.assert_allclose(found.vectors[0, 0], wanted, atol=1e-12)
    assert found.sign_margin[0] == pytest.approx(1 / np.sqrt(10))  # whatever the rule: |mu . v| / |mu|


@given(shapes, st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_the_sign_rule_holds_for_every_component(shape: Shape, seed: int) -> None:
    x, pool_mean = features(*shape, seed=seed), features(5, *shape[1:], seed=seed + 1).mean(axis=0)
    shift = find_directions(x, target="t", sign="shift", components=2)
    pool = find_directions(x, target="t", sign="pool", components=2, pool_mean_ld=pool_mean)
    for layer, mu in enumerate(x.mean(axis=0)):
        assert (shift.vectors[layer] @ mu >= -1e-12).all()
        assert (pool.vectors[layer] @ (mu - pool_mean[layer]) >= -1e-12).all()


@given(shapes, st.integers(0, 2**32 - 1), st.sampled_from(["pca", "uncentered"]))
@settings(max_examples=30, deadline=None)
def test_without_a_sign_rule_the_largest_entry_is_positive(shape: Shape, seed: int, kind: Any) -> None:
    found = find_directions(features(*shape, seed=seed), target="t", kind=kind, sign="none", components=2)
    v = found.vectors.reshape(-1, shape[2])
    assert (v[np.arange(len(v)), np.abs(v).argmax(axis=1)] > 0).all()


@given(shapes, st.integers(0, 2**32 - 1), st.sampled_from(KINDS), st.sampled_from(SIGNS), st.randoms())
@settings(max_examples=60, deadline=None)
def test_the_order_of_the_reference_rows_changes_nothing(
    shape: Shape, seed: int, kind: Any, sign: Any, random: Any
) -> None:
    x, pool_mean = features(*shape, seed=seed), features(5, *shape[1:], seed=seed + 1).mean(axis=0)
    places = list(range(shape[0]))
    random.shuffle(places)
    a, b = (
        find_directions(rows, target="t", kind=kind, sign=sign, pool_mean_ld=pool_mean)
        for rows in (x, x[places])
    )
    np.testing.assert_allclose(a.vectors, b.vectors, atol=1e-7)  # the sign included
    np.testing.assert_allclose(a.explained_variance, b.explained_variance, atol=1e-10)
    np.testing.assert_allclose(a.sign_margin, b.sign_margin, atol=1e-7)


@given(shapes, st.integers(0, 2**32 - 1), st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_a_direction_turns_with_its_space_and_ignores_its_scale(
    shape: Shape, seed: int, scale: float
) -> None:
    x = features(*shape, seed=seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(shape[2], shape[2])))
    plain, turned = find_directions(x, target="t"), find_directions(scale * x @ turn, target="t")
    np.testing.assert_allclose(turned.vectors, plain.vectors @ turn, atol=1e-6)
    np.testing.assert_allclose(turned.explained_variance, plain.explained_variance, atol=1e-10)


def test_pca_ignores_where_the_rows_lie_and_uncentered_follows_it() -> None:
    x = features(12, 1, 6)
    far = x + 1000 * np.eye(6)[2]
    near, moved = (find_directions(rows, target="t", sign="none") for rows in (x, far))
    np.testing.assert_allclose(moved.vectors, near.vectors, atol=1e-7)
    uncentered = find_directions(far, target="t", kind="uncentered")
    np.testing.assert_allclose(uncentered.vectors[0, 0], np.eye(6)[2], atol=1e-2)
    assert uncentered.explained_variance[0, 0] > 0.999  # a share about the origin


@pytest.mark.parametrize("sign", SIGNS)
def test_contrast_is_the_normalised_difference_of_means(sign: Any) -> None:
    """mu = (1, 2), pool mean = (4, 6): from the pool to the references it is -(3, 4) / 5, whatever `sign` says."""
    rows, pool_mean = [[0.0, 2.0], [2.0, 2.0]], np.array([[4.0, 6.0]])
    found = one_layer(rows, kind="contrast", sign=sign, pool_mean_ld=pool_mean)
    np.testing.assert_allclose(found.vectors[0, 0], [-0.6, -0.8])
    np.testing.assert_allclose(found.explained_variance[0, 0], 0.36)  # of the variance along x
    np.testing.assert_allclose(found.sign_margin[0], 2.2 / np.sqrt(5))


@pytest.mark.parametrize(("kind", "rows"), [("pca", 1), ("uncentered", 1), ("contrast", 0)])
def test_too_few_rows_are_an_error_that_names_the_target(kind: Any, rows: int) -> None:
    with pytest.raises(DataError, match=rf"target 'sums': {rows} row\(s\) cannot give 1 direction"):
        find_directions(features(rows, 2, 4), target="sums", kind=kind, pool_mean_ld=np.zeros((2, 4)))


@pytest.mark.parametrize("rows", [1, 3])
def test_equal_rows_have_a_contrast_that_explains_no_variance(rows: int) -> None:
    """Their features differ by rounding, whose share along the direction means nothing."""
    x = np.repeat(features(1, 1, 8), rows, axis=0) * (1 + 1e-7 * np.arange(rows)[:, None, None])
    found = find_directions(x, target="sums", kind="contrast", pool_mean_ld=np.zeros((1, 8)))
    np.testing.assert_allclose(found.vectors[0, 0], x[0, 0] / np.linalg.norm(x[0, 0]), rtol=1e-5)
    assert found.explained_variance[0, 0] == 0


@pytest.mark.parametrize("kind", ["pca", "uncentered"])
def test_identical_rows_are_an_error_that_names_the_target_and_the_layer(kind: Any) -> None:
    x = features(5, 3, 4)
    x[:, 1] = x[0, 1]
    x[:, 1] *= 1 + np.random.default_rng(0).uniform(-1e-7, 1e-7, size=(5, 4))  # float32 rounding
    with pytest.raises(DataError, match="target 'sums', layer 2: all rows have the same features"):
        find_directions(x, target="sums", kind=kind)


@pytest.mark.parametrize(("n", "width", "components"), [(3, 8, 3), (3, 8, 4), (20, 4, 5)])
def test_more_components_than_the_rows_can_give_are_an_error(n: int, width: int, components: int) -> None:
    with pytest.raises(DataError, match=f"target 'sums': {n} row"):
        find_directions(features(n, 2, width), target="sums", components=components)


def test_components_that_the_rows_do_not_span_are_an_error() -> None:
    x = np.repeat(features(2, 1, 8), 3, axis=0)  # six rows, two different ones: a single axis
    with pytest.raises(
        DataError, match=r"target 'sums', layer 1: the rows span 1 direction\(s\), not 2.*components"
    ):
        find_directions(x, target="sums", components=2)


def test_where_all_rows_end_in_one_token_the_embeddings_have_no_direction() -> None:
    x = features(5, 2, 4)
    x[:, 0] = x[0, 0]
    found = find_directions(x, target="t", components=2, first_layer=0)
    assert not found.vectors[0].any()
    assert not found.explained_variance[0].any()
    assert found.sign_margin[0] == 0
    np.testing.assert_allclose(np.linalg.norm(found.vectors[1], axis=1), 1)


def test_where_rows_end_in_one_of_two_tokens_the_embeddings_have_one_direction() -> None:
    x = features(6, 2, 4)
    x[:3, 0], x[3:, 0] = x[0, 0], x[3, 0]
    found = find_directions(x, target="t", components=2, first_layer=0)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=2), [[1, 0], [1, 1]])


def test_cosines_between_targets_layer_by_layer() -> None:
    def of(vectors: list[list[float]]) -> Directions:
        v = np.array(vectors)[:, None]
        return Directions(v, np.zeros((3, 2)), np.ones((3, 1)), np.ones(3))

    a, b = of([[1, 0], [0.6, 0.8], [0, 0]]), of([[0, -1], [-0.8, -0.6], [1, 0]])
    np.testing.assert_allclose(cosines(a, b), [0, -0.96, 0], atol=1e-12)  # no direction: 0
    np.testing.assert_allclose(cosines(b, a), cosines(a, b))
    np.testing.assert_allclose(cosines(a, a), [1, 1, 0])


def test_arrays_give_the_directions_back() -> None:
    found = find_directions(features(9, 2, 6), target="t", components=2)
    again = Directions.of(found.arrays())
    assert again.vectors.dtype == np.float32
    for name, array in found.arrays().items():
        np.testing.assert_array_equal(getattr(again, name), array)
    np.testing.assert_allclose(again.vectors, found.vectors, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_activations_that_are_not_numbers_are_an_error_that_names_the_target(kind: Any) -> None:
    x = np.random.default_rng(0).normal(size=(5, 2, 4))
    broken, mean = x.copy(), x.mean(axis=0)
    broken[3, 1, 2] = np.inf
    with pytest.raises(DataError, match=r"target 'math'.*1 of its 5 rows.*model\.dtype=float32"):
        find_directions(broken, target="math", kind=kind, pool_mean_ld=mean)
    with pytest.raises(DataError, match=r"target 'math'.*a row of the pool overflows"):
        find_directions(x, target="math", kind=kind, pool_mean_ld=np.full_like(mean, np.nan))
