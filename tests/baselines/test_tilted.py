"""Tilted random subsets: draws without replacement with random weights of clusters."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from nait.baselines.controls.tilted import TiltedRandom, tilted
from nait.core.addresses import unit_intervals
from nait.core.dataset.examples import Example, Turn, gather
from nait.core.errors import ConfigError
from tests.baselines.conftest import Open

WORDS = {"sum": "add two numbers plus", "verse": "write a poem rhyme", "code": "python function loop"}
POOL = gather(
    "kinds",
    [
        Example(f"{name}{k:02d}", (Turn(f"{words} {k}", words),), row=k)
        for name, words in WORDS.items()
        for k in range(20)
    ],
)


def test_the_first_row_is_drawn_with_the_weight_of_its_cluster() -> None:
    """Three rows of three clusters: the share of first places over many draws is the Dirichlet weight."""
    clusters = np.arange(3)
    weights = np.random.default_rng([5, 17]).dirichlet(np.full(3, 1.0))
    draws = np.random.default_rng(0).random((20_000, 3))
    first = [int(np.argmax(tilted(clusters, one, concentration=1.0, seed=5))) for one in draws]
    shares = np.bincount(first, minlength=3) / len(first)
    assert shares == pytest.approx(weights, abs=0.01)


def test_subsets_differ_in_composition_and_a_smaller_concentration_makes_them_differ_more() -> None:
    clusters = np.repeat(np.arange(6), 100)
    ids = [str(k) for k in range(600)]

    def spread(concentration: float) -> float:
        shares = []
        for seed in range(30):
            draws = np.array(unit_intervals("tilted", seed, keys=ids))
            scores = tilted(clusters, draws, concentration=concentration, seed=seed)
            shares.append(np.bincount(clusters[np.argsort(-scores)[:60]], minlength=6) / 60)
        return float(np.std(shares, axis=0).mean())

    assert spread(0.3) > 1.5 * spread(3.0)
    assert spread(1000.0) == pytest.approx((1 / 6 * 5 / 6 / 60) ** 0.5, rel=0.25)  # as uniform draws


def test_rows_of_one_kind_of_text_are_tilted_together(opened: Open) -> None:
    extractor = opened()
    shares = []
    for subset in range(8):
        table = TiltedRandom(subset, clusters=3, concentration=0.3).score(POOL, [], extractor)
        best = [POOL.ids[row] for row in np.argsort(-table.values[:, 0])[:10]]
        shares.append(max(Counter(key[:3] for key in best).values()))
    assert np.mean(shares) > 7  # uniform draws: 5
    assert len(extractor.store.artifacts("clusters")) == 1  # found once for all subsets


@pytest.mark.parametrize("options", [{"subset": -1}, {"clusters": 1}, {"concentration": 0}])
def test_values_without_meaning_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=rf"selector\.{next(iter(options))}"):
        TiltedRandom(**options)  # type: ignore[arg-type]
