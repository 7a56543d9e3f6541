"""Laws of the length-matched control: as long as the other method's rows at every budget, and random otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nait.baselines.controls.random import WIDTH, LengthMatched, matched
from nait.baselines.rds import Rds
from nait.core.contracts import Extractor, version_of
from nait.core.dataset.examples import Example, Pool, Target, Turn, gather
from nait.core.ranking.orders import BestRank, Highest, RoundRobin
from nait.core.ranking.score_table import ScoreTable
from tests.families import pool, target


@dataclass(frozen=True)
class ByLength:
    """A method that follows length and nothing else."""

    def score(self, rows: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        values = extractor.lengths(rows).astype(np.float64) + np.arange(len(rows)) / 1000
        return ScoreTable(rows.ids, ("any",), values[:, None], "tokens", "length")


def test_every_prefix_is_as_long_as_the_other_methods(opened: Any) -> None:
    x = opened()
    rows, lengths = pool(200), x.lengths(pool(200))
    theirs = Highest()(ByLength().score(rows, [], x))
    ours = Highest()(LengthMatched(ByLength()).score(rows, [], x))
    for k in (10, 50, 150):
        assert abs(lengths[ours[:k]].mean() - lengths[theirs[:k]].mean()) < 0.05 * lengths[theirs[:k]].mean()
    assert sorted(ours) == sorted(theirs)


def test_seeds_draw_other_rows_of_the_same_lengths(opened: Any) -> None:
    x, rows = opened(), pool(200)
    one, two = (Highest()(LengthMatched(ByLength(), seed=seed).score(rows, [], x)) for seed in (0, 1))
    assert set(one[:50]) != set(two[:50])
    np.testing.assert_array_equal(one, Highest()(LengthMatched(ByLength(), seed=0).score(rows, [], x)))


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(0, 99))
def test_a_match_is_a_permutation(lengths: list[int], seed: int) -> None:
    generator = np.random.default_rng(seed)
    ranking = generator.permutation(len(lengths)).tolist()
    found = matched(ranking, np.asarray(lengths), generator.random(len(lengths)))
    assert sorted(found) == sorted(ranking)
    pairs = [sorted((lengths[ours], lengths[theirs])) for ours, theirs in zip(found, ranking, strict=True)]
    assert all(longer <= shorter * (1 + WIDTH) for shorter, longer in pairs)


def test_a_method_whose_reference_rows_take_turns_is_matched_in_that_order(opened: Any) -> None:
    x, rows, references = opened(), pool(300), [target(12)]
    lengths = x.lengths(rows)
    theirs = RoundRobin()(Rds().score(rows, references, x))
    ours = Highest()(LengthMatched(Rds()).score(rows, references, x))
    bins = np.floor(np.log(lengths) / np.log(1 + WIDTH))
    assert bins[ours].tolist() == bins[theirs].tolist()
    assert (version_of(LengthMatched(Rds())), version_of(LengthMatched(Rds(reduce="max")))) == (3, 2)


@dataclass(frozen=True)
class TwoColumns:
    """A method with two columns, the first of which rates rows that cannot be selected highest."""

    def score(self, rows: Pool, targets: Sequence[Target], extractor: Extractor) -> ScoreTable:
        place = np.arange(len(rows), dtype=np.float64)
        return ScoreTable(rows.ids, ("a", "b"), np.stack([place, -place], axis=1), "1", "places")


def test_rows_that_cannot_be_selected_take_no_place_in_the_other_methods_ranking(opened: Any) -> None:
    x = opened()
    broken = [Example(f"zz{i}", (Turn("Say nothing.", " \n"),)) for i in range(5)]
    rows = gather("p", [*pool(40).examples, *broken])
    unable = {example.id: "empty answer" for example in broken}
    lengths, scorer = x.lengths(rows), LengthMatched(TwoColumns())
    theirs = BestRank()(TwoColumns().score(rows, [], x).without(unable))
    ours = Highest()(scorer.score(rows, [], x))
    bins = np.floor(np.log(lengths) / np.log(1 + WIDTH))
    assert not {rows.ids[row] for row in ours} & set(unable)
    assert bins[ours].tolist() == bins[theirs].tolist()
