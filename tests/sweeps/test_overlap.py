"""Laws of what was selected: agreement between selections, core subsets, lengths."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nait.store import Store
from nait.sweeps.analyses.overlap import (
    MOST,
    cores,
    correlations,
    distinct,
    lengths,
    names,
    overlaps,
    setting_agreement,
)
from nait.sweeps.grouping.collect import collect
from nait.sweeps.render.report_document import Notes, Table
from nait.sweeps.reports.sections import selected
from nait.sweeps.stored_runs.picks import Picks, read_picks
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.selections import jaccard, shorten

from .fixtures import POOL, put


def picks_of(store: Store) -> list[Picks]:
    return distinct(read_picks(RunSet.load(store), collect(RunSet.load(store))))


def test_jaccard_is_what_a_hand_computes() -> None:
    assert jaccard("abc", "bcd") == pytest.approx(2 / 4)
    assert jaccard("ab", "cd") == 0
    assert jaccard("", "") == 1


def test_the_overlap_is_symmetric_and_its_diagonal_is_the_agreement_of_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed=seed)
        put(store, "random", seed=seed)
    found = overlaps(picks_of(store))
    assert found is not None
    assert np.array_equal(found.values, found.values.T, equal_nan=True)
    places = {name: k for k, name in enumerate(found.rows)}
    assert np.isnan(found.values[places["nait"], places["nait"]])  # no seed enters its selection
    assert found.values[places["random"], places["random"]] < 0.3


def test_random_of_several_targets_is_shown_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in ("math", "code"):
        put(store, "nait", target=target)
        put(store, "random", target=target)
    assert names(picks_of(store)) == ["nait, code", "nait, math", "random"]


def test_the_core_is_what_most_targets_chose_and_the_rest_is_a_targets_own(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in ("math", "code", "facts"):
        put(store, "nait", target=target, texts=True)
    (core,) = cores(picks_of(store))
    chosen = {one.target: set(one.first.chosen) for one in picks_of(store)}
    for key in core.core:
        assert sum(key in ids for ids in chosen.values()) >= 2
    for target, ids in core.specific.items():
        assert all(key in chosen[target] for key in ids)
        assert not set(ids) & set(core.core)
    assert core.texts[core.core[0]].startswith(f"Say <b>{core.core[0]}</b>")


def test_what_a_selection_owes_to_a_setting_is_the_agreement_over_its_values(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for layers in ("[1]", "[2]", "[3]"):
        put(store, "nait", layers=layers)
    ((name, keys, count, value),) = setting_agreement(picks_of(store))
    assert (name, keys, count) == ("nait, math, 10%", "layers", 3)
    assert value == 1  # the fixture's scores heed no layer


def test_tables_of_selections_have_all_lines_and_figures_say_how_many(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for layer in range(MOST + 3):
        put(store, "nait", layers=f"[{layer}]")
    picks = picks_of(store)
    ((_, _, count, _),) = setting_agreement(picks)
    assert count == len(picks) == MOST + 3
    blocks = selected(picks, None)
    assert isinstance(blocks[0], Notes)
    assert blocks[0].lines == (
        f"Figures and correlations have the first {MOST} of {MOST + 3} selections; the other tables have all.",
    )
    (table,) = [block for block in blocks if isinstance(block, Table) and block.name == "lengths"]
    assert len(table.body) == 1 + MOST + 3
    found = correlations(picks)
    assert found is not None
    assert len(found.rows) == MOST
    assert found.title == f"Spearman's rho between the first {MOST} of {MOST + 3} score columns"


def test_two_targets_have_no_core(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", target="math")
    put(store, "nait", target="code")
    assert cores(picks_of(store)) == []


def test_lengths_begin_with_the_pool(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    pool, nait = lengths(picks_of(store))
    assert pool[:2] == ("the pool", POOL)
    assert nait[1] == 20


def test_rows_without_a_trainable_answer_are_not_in_the_pool_s_lengths(tmp_path: Path) -> None:
    """Such a row has 0 tokens within the length limit, and no selection can hold it."""
    store = Store(tmp_path)
    put(store, "nait")
    (one,) = picks_of(store)
    tokens = np.arange(POOL) % 4 * 10
    found = lengths([replace(one, by_seed={0: replace(one.first, answer_tokens=tokens)})])
    assert found[0] == ("the pool", int((tokens > 0).sum()), 20.0, 10.0, 20.0, 30.0)


def test_score_columns_correlate_with_themselves(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    put(store, "length")
    found = correlations(picks_of(store))
    assert found is not None
    assert np.diag(found.values) == pytest.approx([1, 1])
    assert -1 <= found.values[0, 1] < 1


def test_columns_of_a_target_s_reference_rows_are_one_by_the_largest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    put(store, "rds")
    first, second = read_picks(RunSet.load(store), collect(RunSet.load(store)))
    low, high = np.arange(POOL) / POOL, np.arange(POOL)[::-1] / POOL
    chosen = replace(second.first, scores={"math/a": low, "math/b": high})
    found = correlations([first, replace(second, by_seed={0: chosen})])
    assert found is not None
    assert list(found.rows) == [f"{first.selector}, math", f"{second.selector}, math"]


def test_an_untrained_model_has_no_selection(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", trained=False)
    put(store, "nait")
    assert [one.selector for one in read_picks(RunSet.load(store), collect(RunSet.load(store)))] == ["nait"]


def test_a_text_is_shortened_whatever_its_format() -> None:
    assert shorten(json.dumps({"instruction": " a\nb ", "n": 3, "input": ""})) == "a b"
    assert shorten(json.dumps({"messages": [{"role": "user", "content": "hi"}]})) == "user / hi"
    assert shorten("no json") == "no json"
    assert len(shorten(json.dumps({"output": "x" * 999}))) == 220


def test_a_selection_that_no_seed_enters_has_no_stability_and_says_why(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "nait", seed=seed)
        put(store, "random", seed=seed)
    picks = {one.method: one for one in picks_of(store)}
    assert picks["nait"].stability is None
    assert picks["random"].stability is not None
    (table,) = [
        one
        for one in selected(list(picks.values()), None)
        if isinstance(one, Table) and one.name == "stability"
    ]
    assert {row[0]: row[2] for row in table.body}["nait"] == "does not depend on the seed"
