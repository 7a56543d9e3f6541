"""Ground-truth measures against hand-computed numbers."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from nait.core.errors import DataError
from nait.core.ranking.ground_truth import Labels, TruthColumns, evidence, measure

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


@pytest.mark.parametrize("missing", [None, math.nan, "", " "])
def test_rows_without_a_skill_do_not_count_for_coverage(missing: object) -> None:
    rows = [{"family": "math", "skill": skill} for skill in ("add", "less", missing, missing)]
    found = TruthColumns("family", "skill").labels(rows)
    assert measure(found, [0, 1], ["math"])["coverage"] == pytest.approx(1.0)
    assert measure(found, [0, 2, 3], ["math"])["coverage"] == pytest.approx(0.5)
    assert "coverage" not in measure(found, [2], ["math"])


def test_coverage_is_left_out_when_no_row_in_target_has_a_skill() -> None:
    rows = [{"family": "math", "skill": None}, {"family": "code", "skill": "loops"}]
    assert "coverage" not in measure(TruthColumns("family", "skill").labels(rows), [0], ["math"])


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
    with pytest.raises(DataError, match=r"row 1 .*has no column 'skill' \(truth\.skill\)"):
        TruthColumns("kind", "skill").labels([{"kind": "math", "skill": "add"}, {"kind": "code"}])


TRUE: list[Any] = [True, 1, 1.0, "true", "True", "TRUE", " yes ", "YES", "1"]
FALSE: list[Any] = [False, 0, 0.0, "false", "False", "FALSE", "no", "No", "0"]


def test_a_flag_is_read_as_what_it_says() -> None:
    rows = [{"clean": value, "lookalike": value} for value in TRUE + FALSE]
    found = TruthColumns(clean="clean", lookalike="lookalike").labels(rows)
    wanted = [True] * len(TRUE) + [False] * len(FALSE)
    assert found.clean is not None
    assert found.clean.tolist() == wanted
    assert found.lookalike is not None
    assert found.lookalike.tolist() == wanted
    assert measure(found, range(len(rows)), ["math"])["clean"] == 0.5


@pytest.mark.parametrize("value", ["maybe", "", "t", 2, -1, 0.5, float("nan"), None, [], ["true"], {}])
@pytest.mark.parametrize("key", ["clean", "lookalike"])
def test_any_other_flag_is_an_error_that_names_row_column_and_value(key: str, value: Any) -> None:
    rows = [{"own": True}, {"own": value}]
    named = TruthColumns(**{key: "own"})
    with pytest.raises(DataError) as caught:
        named.labels(rows, lambda row: f"pool.csv line {row + 2}")
    said = str(caught.value)
    assert said.startswith(f"pool.csv line 3: column 'own' (truth.{key}) holds {value!r}, ")
    assert f"truth.{key}=null" in said


def test_what_no_row_in_target_defines_is_left_out() -> None:
    scores = {"ref": np.arange(5.0), "math": np.arange(5.0)}
    assert measure(labels(), [0, 1, 3, 4], ["ref"], scores) == {"clean": 0.75}
    assert measure(labels(), [0, 1, 3, 4], ["math", "ref"], scores) == {"clean": 0.75}
    assert measure(labels(), [0, 1, 3, 4], []) == {"clean": 0.75}
    assert measure(Labels(np.array(["math", "math"])), [0], ["math"], {"math": np.arange(2.0)}) == {
        "precision": 1.0,
        "base_rate": 1.0,
    }
    assert measure(labels(), [], ["math"]) == {"base_rate": 0.6, "coverage": 0.0}


def test_a_marked_row_looks_in_every_target_and_one_of_a_named_family_in_that_target_alone() -> None:
    rows = [
        {"family": "math", "lookalike": "no"},
        {"family": "code", "lookalike": "no"},
        {"family": "chat", "lookalike": "yes"},
        {"family": "lookalike_math", "lookalike": "yes"},
        {"family": "lookalike_code", "lookalike": "yes"},
        {"family": "lookalike_math", "lookalike": "no"},
        {"family": "math", "lookalike": "yes"},
    ]
    found = TruthColumns("family", lookalike="lookalike").labels(rows)
    assert [measure(found, [row], ["math"])["lookalike"] for row in range(7)] == [0, 0, 1, 1, 0, 0, 0]
    assert [measure(found, [row], ["code"])["lookalike"] for row in range(7)] == [0, 0, 1, 0, 1, 0, 1]
    assert [measure(found, [row], ["math", "code"])["lookalike"] for row in range(7)] == [0, 0, 1, 1, 1, 0, 0]


def test_a_null_label_is_the_label_of_no_target() -> None:
    found = TruthColumns("family").labels([{"family": None}, {"family": "None"}])
    assert measure(found, [0, 1], ["None"])["precision"] == 0.5


@pytest.mark.parametrize("key", ["family", "skill", "clean", "lookalike"])
def test_every_label_column_is_optional(key: str) -> None:
    kept = TruthColumns(
        **{"family": "family", "skill": "skill", "clean": "clean", "lookalike": "lookalike"} | {key: None}
    )
    told = {
        "family": {"clean", "lookalike"},
        "skill": {"precision", "base_rate", "clean", "lookalike"},
        "clean": {"precision", "base_rate", "coverage", "lookalike"},
        "lookalike": {"precision", "base_rate", "coverage", "clean"},
    }
    assert set(measure(kept.labels(ROWS), [0, 3], ["math"])) == told[key]


@pytest.mark.parametrize("key", ["family", "skill", "clean", "lookalike"])
def test_evidence_changes_with_each_label_that_is_measured(key: str) -> None:
    known = labels()
    before = evidence(known, list("abcde"), ["math"])
    values = getattr(known, key).copy()
    math = np.flatnonzero(known.family == "math")
    other = np.flatnonzero((known.family != "math") & ~np.strings.startswith(known.family, "lookalike_"))
    row = other[0] if key == "lookalike" else math[0]
    values[row] = ~values[row] if values.dtype == bool else "z"
    assert evidence(replace(known, **{key: values}), list("abcde"), ["math"]) != before


def test_evidence_does_not_depend_on_the_order_of_rows_or_on_other_families() -> None:
    known = labels()
    before = evidence(known, list("abcde"), ["math"])
    back = [4, 3, 2, 1, 0]
    assert evidence(known.at(back), list("edcba"), ["math"]) == before
    assert known.family is not None
    assert known.skill is not None
    skill = np.where(known.family == "math", known.skill, "another")
    assert evidence(replace(known, skill=skill), list("abcde"), ["math"]) == before
