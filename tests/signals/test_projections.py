"""Random projection: the matrix does not depend on its blocks, and preserves inner products."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nait.signals.backward.random_projection import project, signs
from nait.signals.specs.gradients import PLAIN, Gradients, Projection, influences_of
from tests.signals.test_gradients import adapted, one_by_one, read, rows, unit

MASK = 2**64 - 1


def splitmix(seed: int, place: int) -> int:
    """Word `place` of the splitmix64 stream, as published: the state counts up, a finaliser mixes it."""
    z = (seed + (place + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def test_the_stream_is_splitmix64() -> None:
    """The first word for seed 1234567, as in other implementations."""
    assert splitmix(1234567, 0) == 6457827717110365317


@pytest.mark.parametrize("seed", [0, 7, 2**63 + 5])
def test_signs_are_the_streams_bits(seed: int) -> None:
    projection = Projection(dim=128, seed=seed)
    found = signs(3, 4, projection)
    for i in range(4):
        for j in range(128):
            bit = splitmix(seed, (3 + i) * 2 + j // 64) >> (j % 64) & 1
            assert found[i, j] == (1 if bit else -1)


def test_a_row_is_the_same_wherever_a_block_starts() -> None:
    projection = Projection(dim=256, seed=3)
    whole = signs(0, 1000, projection)
    for start, count in ((0, 1), (17, 100), (999, 1)):
        assert signs(start, count, projection).equal(whole[start : start + count])
    far = 10**12  # no weight's number is too large
    assert signs(far, 3, projection)[1:].equal(signs(far + 1, 2, projection))


@pytest.mark.parametrize("entries", [1, 64 * 7, 64 * 1000, 1 << 23])
def test_a_projection_does_not_depend_on_its_blocks(entries: int) -> None:
    projection = Projection(dim=64, seed=1)
    u = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 500)).astype(np.float32))
    wanted = u @ signs(40, 500, projection) / 8.0
    torch.testing.assert_close(project(u, 40, projection, block_entries=entries), wanted)


def test_inner_products_are_kept_up_to_chance() -> None:
    """The error of a projected cosine has a standard deviation of at most 1 / sqrt(S)."""
    draw = np.random.default_rng(0)
    u = draw.normal(size=(20, 3000)).astype(np.float32) + draw.normal(size=3000).astype(np.float32)
    u = unit(u).astype(np.float32)
    projection = Projection(dim=4096, seed=5)
    small = project(torch.from_numpy(u), 0, projection).numpy()
    error = (small @ small.T - u @ u.T)[np.triu_indices(20, 1)]
    assert np.abs(error).max() < 5 / 64
    assert abs(error.mean()) < 2 / 64
    norms = (small**2).sum(axis=1)
    np.testing.assert_allclose(norms, 1.0, atol=5 * 2**0.5 / 64)


def test_signs_are_fair_and_uncorrelated() -> None:
    s = signs(0, 4096, Projection(dim=64)).numpy()
    assert abs(s.mean()) < 5 / np.sqrt(s.size)
    correlations = (s.T @ s / len(s))[np.triu_indices(64, 1)]
    assert np.abs(correlations).max() < 5.5 / np.sqrt(len(s))
    assert not signs(0, 8, Projection(dim=64, seed=1)).equal(signs(0, 8, Projection(dim=64, seed=2)))


def test_projected_gradients_are_the_projections_of_gradients() -> None:
    model, table = adapted(), rows()
    projection = Projection(dim=192, seed=4)
    g = one_by_one(model, table)
    wanted = unit(g @ signs(0, g.shape[1], projection).double().numpy())
    (found,) = read(model, [Gradients(PLAIN, projection)], table)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    references = found[:2]
    (cosines,) = read(model, [influences_of(references, PLAIN, projection)], table)
    np.testing.assert_allclose(cosines, wanted @ wanted[:2].T, atol=1e-5)


@pytest.mark.gpu
def test_every_device_makes_the_same_matrix() -> None:
    projection = Projection(dim=8192, seed=9)
    assert signs(12345, 64, projection, "cuda").cpu().equal(signs(12345, 64, projection))
