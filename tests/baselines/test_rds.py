"""RDS+: cosines by hand, columns by reduction, chunks that change nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nait.baselines import rds
from nait.baselines.perplexity import Perplexity
from nait.baselines.rds import Rds, unit_rows
from nait.core.errors import ConfigError, DataError
from nait.core.ranking.orders import RoundRobin
from nait.signals.specs.activations import POOLINGS, Embedding
from tests.baselines.conftest import Open
from tests.families import pool, target


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_column_is_the_cosine_with_a_reference_row(opened: Open, pooling: Any) -> None:
    x, goal = opened(), target()
    table = Rds(pooling).score(pool(), [goal], x)
    a, b = (np.asarray(x.measure(side, [Embedding(pooling)])[0], dtype=float) for side in (pool(), goal))
    wanted = a @ b.T / np.linalg.norm(a, axis=1)[:, None] / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(table.values, wanted, atol=1e-6)
    assert table.targets == tuple(f"target/{example.id}" for example in goal.examples)


def test_max_and_mean_give_a_column_a_target(opened: Open) -> None:
    x, goals = opened(), [target(), target(4, name="other", salt=7)]
    rows = Rds().score(pool(), goals, x).values
    for reduce, of in (("max", np.max), ("mean", np.mean)):
        table = Rds(reduce=reduce).score(pool(), goals, x)  # type: ignore[arg-type]
        assert table.targets == ("target", "other")
        wanted = np.stack([of(rows[:, :6], axis=1), of(rows[:, 6:], axis=1)], axis=1)
        np.testing.assert_allclose(table.values, wanted, atol=1e-6)


def test_each_reference_row_in_turn_takes_its_nearest(opened: Open) -> None:
    table = Rds().score(pool(), [target()], opened())
    ranking = RoundRobin()(table)
    assert len(ranking) == len(pool())
    assert ranking[0] == table.values[:, 0].argmax()
    second = table.values[:, 1].copy()
    second[ranking[0]] = -np.inf
    assert ranking[1] == second.argmax()


def test_chunk_size_does_not_change_scores(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Rds().score(pool(), [target()], opened()).values
    monkeypatch.setattr(rds, "CHUNK_ROWS", 5)
    np.testing.assert_allclose(Rds().score(pool(), [target()], opened()).values, usual, atol=1e-7)


def test_a_reference_row_is_written_as_the_pools_are(opened: Open) -> None:
    """A pool row that stands in the reference set is its own nearest, at cosine 1."""
    goal = replace(target(), examples=pool().examples[:3], fingerprint="three")
    table = Rds().score(pool(), [goal], opened())
    np.testing.assert_allclose(np.diag(table.values[:3]), 1.0, atol=1e-6)


def test_rows_have_length_one_or_none() -> None:
    units = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [np.inf, 1.0]]))
    np.testing.assert_array_equal(units[0], [0.6, 0.8])
    assert np.isnan(units[1:]).all()


def test_wrong_options_are_named() -> None:
    with pytest.raises(ConfigError, match="reduce"):
        Rds(reduce="round_robin")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="pooling"):
        Rds("avg")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="needs a target"):
        Rds().check([])
    with pytest.raises(DataError, match="no reference rows"):
        Rds().check([replace(target(), examples=())])


@pytest.mark.parametrize("limit", [-5, 0, 1, 2.5, "64"])
@pytest.mark.parametrize("method", [Rds, Perplexity])
def test_a_length_limit_of_its_own_that_cannot_be_meant_is_refused(method: Any, limit: Any) -> None:
    with pytest.raises(ConfigError, match=r"selector\.max_length"):
        method(max_length=limit)


def test_a_length_limit_of_its_own_is_within_the_models_context(opened: Open) -> None:
    context = opened().model.context()
    with pytest.raises(
        ConfigError, match=rf"selector\.max_length: {context + 1} is more than the model's context"
    ):
        opened().under(max_length=context + 1)
    opened().under(max_length=context)
