"""Ground-truth measures against hand-computed numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nait.core.truth import Labels, TruthColumns, measure

ROWS = [
    {"family": "math", "skill": "add", "clean": True, "lookalike": False},
    {"family": "math", "skill": "sub", "clean": False, "lookalike": False},
    {"family": "math", "skill": "add", "clean": True, "lookalike": False},
    {"family": "lookalike_math", "skill": "chat", "clean": True, "lookalike": True},
    {"family": "code", "skill": "print", "clean": True, "lookalike": False},
]


def labels() -> Labels:
    return TruthColumns("family", "skill", "clean", "lookalike").labels(ROWS)


def test_shares_are_counted_over_the_chosen_rows() -> None:
    found = measure(labels(), [0, 1, 3, 4], ["math"])
    assert found["precision"] == 0.5
    assert found["base_rate"] == 0.6
    assert found["clean"] == 0.75
    assert found["lookalike"] == 0.25


def test_coverage_is_the_effective_number_of_sub_skills() -> None:
    assert measure(labels(), [0, 1], ["math"])["coverage"] == pytest.approx(1.0)
    assert measure(labels(), [0, 2], ["math"])["coverage"] == pytest.approx(0.5)
    share = np.array([2 / 3, 1 / 3])
    wanted = math.exp(-(share * np.log(share)).sum()) / 2
    assert measure(labels(), [0, 1, 2], ["math"])["coverage"] == pytest.approx(wanted)
    assert measure(labels(), [4], ["math"])["coverage"] == 0.0


def test_auc_counts_pairs_and_ties_as_halves() -> None:
    scores = np.array([3.0, 1.0, 2.0, 2.0, 0.0])
    positives, negatives = scores[[0, 1, 2]], scores[[3, 4]]
    wins = [(p > n) + 0.5 * (p == n) for p in positives for n in negatives]
    assert measure(labels(), [0], ["math"], {"math": scores})["auc"] == pytest.approx(sum(wins) / len(wins))


def test_rows_without_a_score_and_other_columns_do_not_count() -> None:
    scores = np.array([3.0, np.nan, 2.0, 1.0, 0.0])
    assert measure(labels(), [0], ["math"], {"math": scores, "other": -scores})["auc"] == 1.0


def test_precision_each_looks_at_every_targets_own_top() -> None:
    scores = {"math": np.array([5.0, 4.0, 0.0, 1.0, 2.0]), "code": np.array([9.0, 1.0, 2.0, 3.0, 8.0])}
    found = measure(labels(), [0, 4], ["math", "code"], scores)
    assert found["precision each"] == pytest.approx((1.0 + 0.5) / 2)
    assert "precision each" not in measure(labels(), [0], ["math"], {"math": scores["math"]})


def test_one_label_column_is_enough() -> None:
    rows = [{"kind": "math"}, {"kind": "code"}, {"kind": "math"}]
    columns = TruthColumns("kind", "skill", "clean", "lookalike")
    assert columns.present(rows) == {"kind"}
    found = measure(columns.labels(rows), [0, 1], ["math"], {"math": np.array([3.0, 1.0, 2.0])})
    assert found == {"precision": 0.5, "base_rate": pytest.approx(2 / 3), "auc": 1.0}


def test_a_column_that_only_some_rows_have_is_an_error() -> None:
    with pytest.raises(KeyError, match="skill"):
        TruthColumns("kind", "skill").labels([{"kind": "math", "skill": "add"}, {"kind": "code"}])
