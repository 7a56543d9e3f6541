"""Laws of the two references: random is uniform and tied to ids alone, full takes every row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from nait.baselines.controls.random import Random
from nait.baselines.controls.references import Full
from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.ranking.orders import Highest
from nait.core.ranking.selection import cut

NOTHING: Any = None
"""Neither asks for an extractor."""


def pool(rows: range) -> Pool:
    return gather("pool", [Example(f"id{i}", (Turn(f"Do {i}", "done"),), row=i) for i in rows])


def draws(rows: range, seed: int = 0) -> dict[str, float]:
    table = Random(seed).score(pool(rows), [], NOTHING)
    return dict(zip(table.ids, table.values[:, 0].tolist(), strict=True))


@pytest.mark.parametrize("seed", range(5))
def test_random_is_uniform(seed: int) -> None:
    values = list(draws(range(5000), seed).values())
    assert min(values) >= 0
    assert max(values) < 1
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_every_row_is_chosen_about_as_often_over_seeds() -> None:
    rows, seeds, share = 50, 400, 0.1
    taken = np.zeros(rows)
    for seed in range(seeds):
        taken[Highest()(Random(seed).score(pool(range(rows)), [], NOTHING))[: int(share * rows)]] += 1
    expected = seeds * share
    assert stats.chi2.sf(((taken - expected) ** 2 / (expected * (1 - share))).sum(), rows - 1) > 1e-3


def test_one_seed_gives_one_draw_and_another_seed_another() -> None:
    first, other = draws(range(200), 1), draws(range(200), 2)
    assert first == draws(range(200), 1)
    assert abs(np.corrcoef(list(first.values()), list(other.values()))[0, 1]) < 0.3


def test_a_rows_draw_depends_on_nothing_but_its_id() -> None:
    usual = draws(range(40))
    assert draws(range(39, -1, -1)) == usual  # the file's order
    few = draws(range(0, 40, 3))  # the other rows
    assert few == {key: usual[key] for key in few}


def test_random_has_one_column_whatever_the_targets() -> None:
    table = Random(3).score(pool(range(4)), [], NOTHING)
    assert table.targets == ("any",)
    assert table.eligible.all()
    assert table.definition == "uniform draw, seed 3"


def test_full_takes_every_row() -> None:
    table = Full().score(pool(range(30)), [], NOTHING)
    assert table.exhaustive
    tokens = np.ones(30, dtype=np.int64)
    assert sorted(cut(table, Highest()(table), 1, tokens).rows) == list(range(30))


def test_full_leaves_out_what_cannot_be_trained_on() -> None:
    table = Full().score(pool(range(5)), [], NOTHING).without({"id3": "empty answer"})
    assert "id3" not in cut(table, Highest()(table), 1, np.ones(5, dtype=np.int64)).ids
