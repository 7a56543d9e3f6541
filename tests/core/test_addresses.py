"""Laws of addresses, examples and errors."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from nait.core.addresses import address, canonical_json, unit_interval, unit_intervals
from nait.core.dataset.examples import Example, Turn, gather
from nait.core.errors import DataError, NaitError, did_you_mean
from nait.core.ranking.rank_statistics import spearman


@dataclass(frozen=True)
class Thing:
    a: int
    b: tuple[int, ...]


def test_equal_content_has_one_address() -> None:
    assert address({"x": 1, "y": (1, 2)}) == address({"y": [1, 2], "x": 1})
    assert address(Thing(1, (2,))) != address(Thing(1, (3,)))
    assert address({"x": 1}) != address({"x": 1.5})


def test_what_has_no_canonical_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no canonical form"):
        canonical_json({"x": object()})


def test_draws_are_uniform_and_depend_on_their_parts_alone() -> None:
    draws = np.array([unit_interval("t", i) for i in range(2000)])
    assert unit_interval("t", 5) == draws[5]
    assert stats.kstest(draws, "uniform").pvalue > 0.01


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.lists(st.integers() | st.text('é"\n')))
def test_draws_for_many_keys_are_the_draws_for_each(keys: list[str], parts: list[int | str]) -> None:
    assert unit_intervals(*parts, keys=keys) == [unit_interval(*parts, key) for key in keys]


def rows(count: int) -> list[Example]:
    return [Example("", (Turn(f"question {i}", f"answer {i}"),), row=i) for i in range(count)]


def test_a_pool_does_not_depend_on_the_order_of_the_file() -> None:
    one, other = rows(20), rows(20)
    random.Random(0).shuffle(other)
    assert gather("p", one).fingerprint == gather("p", other).fingerprint
    assert gather("p", one).ids == gather("p", other).ids


def test_equal_rows_are_kept_apart_and_counted() -> None:
    pool = gather("p", [*rows(2), *rows(2)])
    assert len(pool) == 4
    assert pool.duplicates == 2
    assert len(set(pool.ids)) == 4


def test_a_doubled_id_names_both_rows() -> None:
    twice = [Example("x", (Turn("q", "a"),), row=3), Example("x", (Turn("r", "b"),), row=7)]
    with pytest.raises(DataError, match="row 3 and in row 7"):
        gather("p", twice)


def test_text_moved_between_fields_changes_the_fingerprint() -> None:
    one = gather("p", [Example("x", (Turn("ab", "c"),))])
    other = gather("p", [Example("x", (Turn("a", "bc"),))])
    assert one.fingerprint != other.fingerprint


def test_an_error_says_what_where_and_the_mend() -> None:
    assert str(NaitError("it broke", where="here", fix="Mend it")) == "here: it broke. Mend it."
    assert did_you_mean("gsmk", ["gsm8k", "mmlu"]) == "Did you mean 'gsm8k'?"
    assert did_you_mean("GSM8K", ["gsm8k", "mmlu"]) == "Did you mean 'gsm8k'?"
    assert did_you_mean("question", ["Question", "Answer"]) == "Did you mean 'Question'?"
    assert did_you_mean("zzz", ["a", "b"]) == "Known: a, b."


def test_spearman_equals_scipys_with_ties() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.integers(0, 5, 200), generator.normal(size=200)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)
    assert np.isnan(spearman(np.ones(5), np.arange(5)))
