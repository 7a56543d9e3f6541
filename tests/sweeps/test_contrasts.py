"""Laws of the comparisons: whose control a run is, and what a group's difference is made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nait.core.statistics.results import Evaluation, Member, Result, Row
from nait.stages.artifacts.evaluation_files import read_results, write_evaluation
from nait.store import Store
from nait.sweeps.analyses.pairs import MOST, pairwise
from nait.sweeps.grouping.collect import collect, outcomes, sheets
from nait.sweeps.render.leaderboard_tables import difference_cells
from nait.sweeps.render.report_document import Notes, Table
from nait.sweeps.render.table_notes import notes
from nait.sweeps.reports.leaderboard import Leaderboard
from nait.sweeps.stats.aggregates import Line, corrected, summarise
from nait.sweeps.stats.contrasts import between, controls
from nait.sweeps.stored_runs.method_names import BASE
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import ReadableStore, Stores
from tests.older_stores import without_checksums

from .fixtures import TASKS, put


def lines_of(store: ReadableStore, control: str = "random") -> list[Line]:
    rows = collect(RunSet.load(store))
    return summarise(rows, outcomes(RunSet.load(store), rows), control=control)


def one(rows: list[Row], selector: str, task: str, **wanted: object) -> list[Row]:
    fits = [row for row in rows if (row.selector, row.task) == (selector, task)]
    return [row for row in fits if all(getattr(row, name) == value for name, value in wanted.items())]


def test_a_planted_difference_is_found_in_the_table_and_a_null_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "random", seed=seed, share=0.4)
        put(store, "good", seed=seed, share={"nano_math": 0.8, "nano_code": 0.4, "nano_facts": 0.4})
    found = {line.task: line.difference for line in corrected(lines_of(store)) if line.selector == "good"}
    math, code = found["nano_math"], found["nano_code"]
    assert math is not None
    assert code is not None
    assert math.significant
    assert not code.significant


def test_a_groups_difference_is_the_mean_of_its_tasks_differences(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "random", seed=seed, share=0.4)
        put(store, "nait", seed=seed, share={"nano_math": 0.8, "nano_code": 0.4, "nano_facts": 0.5})
    found = {line.task: line.difference for line in lines_of(store) if line.selector == "nait"}
    values = {task: part.value for task, part in found.items() if part is not None}
    assert values["nano"] == pytest.approx(sum(values[task] for task in TASKS) / len(TASKS))
    group = found["nano"]
    assert group is not None
    assert group.items == 180
    assert group.low < group.value < group.high


@pytest.mark.parametrize(("scale", "level"), [(1.0, 0.3), (1.0, 4.0), (10.0, 4.0)])
def test_the_interval_of_a_loss_depends_on_its_spread_and_on_no_unit(
    tmp_path: Path, scale: float, level: float
) -> None:
    store, generator = Store(tmp_path), np.random.default_rng(0)
    for seed in range(3):
        for selector in ("random", "good"):
            put(store, selector, seed=seed, share={"nano_math": 0.5})
    rows, items = [], {}
    for row in collect(RunSet.load(store)):
        if row.task == "nano_math":
            rows.append(replace(row, higher_is_better=False))
            found = level + 0.02 * (row.selector == "random") + generator.normal(0, 0.01, size=12)
            items[row.evaluation, row.task, row.metric] = {str(k): scale * v for k, v in enumerate(found)}
    part = between(one(rows, "good", "nano_math"), one(rows, "random", "nano_math"), items)
    assert part is not None
    assert scale * 0.005 < part.high - part.low < scale * 0.08
    for line in summarise(rows, items):
        assert line.half_width is not None
        assert line.half_width < scale * 0.04


def test_a_groups_members_survive_the_store(tmp_path: Path) -> None:
    members = (Member("a", "acc", "strict", 0.25), Member("b", "acc", "strict", 0.75))
    result = Result("g", "acc", 0.5, None, 8, is_group=True, members=members)
    write_evaluation(tmp_path, Evaluation((result,), ()))
    assert read_results(tmp_path) == (result,)


def test_random_of_another_target_is_a_control_where_its_own_is_missing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "random", target="math", seed=seed)
        put(store, "nait", target="code", seed=seed)
    put(store, "random", target="code", seed=0)
    rows = collect(RunSet.load(store))
    found = controls(one(rows, "nait", "nano_math"), rows)
    assert {(row.seed, row.target) for row in found} == {(0, "code"), (1, "math")}
    assert not controls(one(rows, "random", "nano_math"), rows)


def test_a_control_has_the_same_budget_and_training(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", budget="20%", **{"train.epochs": "3"})
    put(store, "random", **{"train.epochs": "1"})
    put(store, "nait", **{"train.epochs": "3", "layers": "[1]"})
    rows = collect(RunSet.load(store))
    assert not controls(one(rows, "nait", "nano_math"), rows)
    put(store, "random", seed=0, **{"train.epochs": "3"})
    rows = collect(RunSet.load(store))
    (found,) = controls(one(rows, "nait", "nano_math"), rows)
    assert (found.selector, found.table) == ("random", one(rows, "nait", "nano_math")[0].table)


def test_any_two_rows_can_be_compared_and_any_row_can_be_the_control(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "nait", seed=seed, share=0.7)
        put(store, "length", seed=seed, share=0.4)
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    a, b = one(rows, "nait", "nano"), one(rows, "length", "nano")
    there, back = between(a, b, items), between(b, a, items)
    assert there is not None
    assert back is not None
    assert there.value == pytest.approx(-back.value)
    held = {line.selector: line.difference for line in lines_of(store, "length") if line.task == "nano"}
    assert held["nait"] is not None
    assert held["nait"].value == pytest.approx(there.value)
    assert held["length"] is None


def test_reference_sets_of_one_target_are_never_averaged(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", facts={"reference_rows": {"math": 8}})
    put(store, "nait", seed=1, facts={"reference_rows": {"math": 32}})
    assert {row.selector for row in collect(RunSet.load(store))} == {
        "nait reference rows=8",
        "nait reference rows=32",
    }


def test_a_shuffled_order_makes_any_selector_the_random_control(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        for layers in ("[1]", "[2]"):
            put(store, "nait", seed=seed, order="Highest", layers=layers, share=0.8)
            put(store, "nait", seed=seed, order="Shuffled", layers=layers, pool_sample=layers, share=0.3)
    lines = [line for line in lines_of(store) if line.task == "nano"]
    assert {line.selector for line in lines} == {"nait layers=[1]", "nait layers=[2]", "random"}
    (control,) = (line for line in lines if line.method == "random")
    assert (control.seconds_select, control.checks) == (0.0, {})
    assert all(line.difference for line in lines if line.method == "nait")


def test_a_model_that_was_not_trained_is_not_judged_by_rows_it_never_saw(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", trained=False, facts={"truth": {"precision": 0.1}})
    put(store, "random", facts={"truth": {"precision": 0.1}})
    found = {row.method: row.truth for row in collect(RunSet.load(store))}
    assert found == {BASE: {}, "random": {"precision": 0.1}}


def test_a_run_that_is_judged_by_other_labels_shows_what_they_tell(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = put(store, "random", facts={"truth": {"precision": 0.0}})
    without_checksums(store.artifacts("runs")[0].path, created="2026-01-01T00:00:00+00:00")
    again = put(store, "random", facts={"truth": {"precision": 0.1}})
    assert again != first
    assert put(store, "random", facts={"truth": {"precision": 0.1}}) == again
    assert {(row.run, row.truth["precision"]) for row in collect(RunSet.load(store))} == {(again, 0.1)}


@pytest.mark.parametrize("several", [False, True])
def test_labels_and_a_price_that_were_changed_and_restored_are_those_of_the_last_run(
    tmp_path: Path, several: bool
) -> None:
    def run(folder: str, share: float, labels: str, price: float) -> str:
        cost = {"devices": 1, "price_per_device_hour": price, "currency": "USD"}
        truth = {"precision": share, "base_rate": 0.1}
        known = {"truth": truth, "truth_labels": labels, "money": price, "currency": "USD", "cost": cost}
        return put(Store(tmp_path / folder), "random", facts=known)

    other = "b" if several else "a"
    first, edited, restored = run("a", 0.5, "aa", 1.0), run(other, 0.9, "bb", 2.0), run("a", 0.5, "aa", 1.0)
    assert first == restored != edited
    store = Stores([Store(tmp_path / name) for name in (*(["b"] if several else []), "a")])
    assert {(one.truth["precision"], one.money) for one in lines_of(store)} == {(0.5, 1.0)}
    run(other, 0.9, "bb", 2.0)
    assert {(one.truth["precision"], one.money) for one in lines_of(store)} == {(0.9, 2.0)}


def test_of_copies_of_a_record_the_last_used_counts(tmp_path: Path) -> None:
    truth = [{"precision": share, "base_rate": 0.1} for share in (0.5, 0.9)]
    ours, theirs = Store(tmp_path / "ours"), Store(tmp_path / "theirs")
    put(ours, "random", facts={"truth": truth[0]})
    put(ours, "random", facts={"truth": truth[1]})
    put(theirs, "random", facts={"truth": truth[0]})
    for stores in ([ours, theirs], [theirs, ours]):
        assert {one.truth["precision"] for one in lines_of(Stores(stores))} == {0.5}


def test_a_run_that_is_recorded_without_labels_hides_none_that_another_record_tells(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for k, (truth, also) in enumerate(
        [({}, {}), ({"precision": 0.7}, {"traits": "a"}), ({}, {"traits": "b"})]
    ):
        put(store, "random", facts={"truth": truth}, also=also)
        put(store, "nait", seed=k, facts={"truth": {"precision": 0.9}})
    found = {line.selector: line.truth for line in lines_of(store) if line.task == "nano_math"}
    assert found == {"random": {"precision": 0.7}, "nait": {"precision": pytest.approx(0.9)}}


def test_a_line_whose_seeds_are_not_all_judged_by_labels_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed=seed, facts={"truth": {"precision": 0.9} if seed < 2 else {}})
        put(store, "random", seed=seed, facts={"truth": {"precision": 0.2}})
    assert {line.selector: dict(line.truth) for line in lines_of(store) if line.task == "nano"} == {
        "nait": {}, "random": {"precision": pytest.approx(0.2)},
    }  # fmt: skip
    (said,) = sheets(RunSet.load(store))[0].notes
    assert said.startswith("nait, math, 10%: the runs of seed 2 have no ground-truth labels,")


def test_labels_that_changed_between_runs_are_in_a_note(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, share in enumerate([0.25, 0.25, 0.5]):
        put(store, "nait", seed=seed, facts={"truth": {"precision": 0.9, "base_rate": share}})
        put(store, "random", seed=seed, facts={"truth": {"precision": 0.2, "base_rate": 0.25}})
    (said,) = sheets(RunSet.load(store))[0].notes
    assert said.startswith("The ground-truth labels of target math changed between runs: 25.0% of the pool")
    assert "50.0% of the pool is in target for nait seed 2." in said
    put(store, "nait", seed=2, facts={"truth": {"precision": 0.9, "base_rate": 0.25}}, also={"traits": "a"})
    assert sheets(RunSet.load(store))[0].notes == ()


def test_labels_that_changed_with_the_same_share_in_target_are_in_a_note(tmp_path: Path) -> None:
    store = Store(tmp_path)
    truth = {"precision": 0.9, "base_rate": 0.25}
    for seed, labels in enumerate(["aaaaaaaaaa", "aaaaaaaaaa", "bbbbbbbbbb"]):
        put(store, "nait", seed=seed, facts={"truth": truth, "truth_labels": labels})
    put(store, "random", facts={"truth": truth})  # of a version that did not record them
    (said,) = sheets(RunSet.load(store))[0].notes
    assert "in target, labels bbbbbbbb for nait seed 2" in said
    put(store, "nait", seed=2, facts={"truth": truth, "truth_labels": "aaaaaaaaaa"})  # run again
    assert len(RunSet.load(store).records) == 4
    assert sheets(RunSet.load(store))[0].notes == ()


def test_a_run_that_was_trained_and_not_evaluated_shows_its_training(tmp_path: Path) -> None:
    chosen, trained = Store(tmp_path / "chosen"), Store(tmp_path / "trained")
    put(chosen, "nait", evaluated=False)
    put(trained, "nait", evaluated=False, also={"adapter": "cd"})
    texts = [Leaderboard().report(store, None, tmp_path) for store in (chosen, trained)]
    assert ["train s" in text for text in texts] == [False, True]
    assert ["nothing was trained or evaluated" in text for text in texts] == [True, False]
    assert "2.0" in texts[1]
    assert "nothing was evaluated" in texts[1]


def test_the_same_evaluation_reached_twice_is_one_seed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = put(store, "random", seed=0)
    put(store, "random", seed=1)
    (row, *_) = [row for row in collect(RunSet.load(store)) if row.run == first and row.task == "nano"]
    again = replace(row, run="another")
    rows = [row for row in collect(RunSet.load(store)) if row.task == "nano"]
    assert summarise([*rows, again])[0].half_width == summarise(rows)[0].half_width


def test_a_score_has_an_interval_over_items_and_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed=seed, share=0.6)
        put(store, "random", seed=seed, share=0.3)
    for line in lines_of(store):
        assert line.half_width is not None
        over_items = 1.96 * (line.value * (1 - line.value) / line.n) ** 0.5
        assert 0.5 * over_items < line.half_width < 4 * over_items


def test_an_untrained_model_owes_nothing_to_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run = put(store, "base", seed=0)
    rows = [row for row in collect(RunSet.load(store)) if row.run == run and row.task == "nano_math"]
    items = outcomes(RunSet.load(store), rows)
    (once,) = summarise(rows, items)
    (thrice,) = summarise([replace(rows[0], seed=seed) for seed in range(3)], items)
    assert thrice.half_width == once.half_width


def test_stores_of_several_machines_are_one_table(tmp_path: Path) -> None:
    here, there = Store(tmp_path / "a"), Store(tmp_path / "b")
    put(here, "nait", share=0.7)
    put(here, "random")
    put(there, "random")
    put(there, "nait", seed=1)
    both = RunSet.load(Stores([here, there]))
    rows = collect(both)
    assert len({row.run for row in rows}) == 3
    assert len(summarise(rows, outcomes(both, rows))) == 2 * 4


def test_one_difference_has_one_verdict_in_every_table(tmp_path: Path) -> None:
    """The leaderboard, its long table, any two methods and the forest."""
    store = Store(tmp_path / "store")
    gains = {"a": 0.44, "b": 0.5, "c": 0.55, "nait": 0.6}
    for seed in range(3):
        put(store, "random", seed=seed, share=0.4)
        for name, share in gains.items():
            put(store, name, seed=seed, share=share)
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    lines = summarise(rows, items)
    (pairs,) = pairwise(rows, lines, items, control="random", benchmarks={})
    assert isinstance(pairs, Table)
    column = pairs.header.index("random") if "random" in pairs.header else None
    head, body = difference_cells(lines)
    shown = {row[0]: row[head.index("nano_math")] for row in body}
    for row in pairs.body:
        for name, cell in zip(pairs.header[1:], row[1:], strict=True):
            if cell and "random" in (row[0], name):
                other = shown[name if row[0] == "random" else row[0]]
                assert ("n.s." in cell) == ("n.s." in str(other))
                assert column is None or name != "random" or cell == other
    assert "a separate family (6 for this leaderboard)" in pairs.caption
    assert {line.difference.family for line in lines if line.difference} == {16}


def test_an_untrained_model_is_compared_with_every_seed_of_the_control(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "base", trained=False, share=0.2)
    for seed in range(3):
        put(store, "random", seed=seed, share=0.4)
        for name in ("a", "b", "c"):
            put(store, name, seed=seed, share=0.4)
    (base,) = (line for line in lines_of(store) if line.method == BASE and line.task == "nano")
    assert base.difference is not None
    assert base.difference.seeds == 3
    assert len(base.difference.sides) == 1  # the control's


def test_methods_of_the_same_runs_count_once_in_a_column(tmp_path: Path) -> None:
    """Random of two targets is one method; so is a selector that no target changes."""
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "random", seed=seed, share=0.4)
        for name in ("a", "b", "c"):
            put(store, name, seed=seed, share=0.5)
    rows = collect(RunSet.load(store))
    again = [replace(row, target="other") for row in rows if row.method == "a"]
    once, twice = (summarise(some, outcomes(RunSet.load(store), some)) for some in (rows, [*rows, *again]))
    held = {(line.selector, line.target, line.task): line.difference for line in twice}
    for line in once:
        other = held[line.selector, line.target, line.task]
        assert (line.difference is None) == (other is None)
        if line.difference and other:
            assert (line.difference.low, line.difference.p) == pytest.approx((other.low, other.p))


def test_a_score_of_few_items_has_wilson_s_interval_and_no_more(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", share=0.6)
    for line in lines_of(store):
        if line.task in TASKS:
            right = round(line.value * line.n)
            wilson = stats.binomtest(right, line.n).proportion_ci(method="wilson")
            wanted = max(line.value - wilson.low, wilson.high - line.value)
            assert line.half_width == pytest.approx(wanted, rel=0.03)


def test_a_difference_over_fewer_seeds_than_its_scores_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed=seed, share=0.6)
    for seed in range(2):
        put(store, "random", seed=seed, share=0.4)
    said = (
        "Differences are over the seeds that a line shares with random, scores over all: nait 2 of 3 seeds."
    )
    assert said in notes(lines_of(store))
    put(store, "random", seed=2, share=0.4)
    assert not [note for note in notes(lines_of(store)) if note.startswith("Differences are over")]
    put(store, "random", seed=3, share=0.4)
    assert said.replace("2 of 3", "3 of 4") in notes(lines_of(store))


def test_a_target_with_too_many_lines_for_a_table_of_pairs_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for k in range(MOST + 1):
        put(store, f"method{k}", share={TASKS[0]: 0.5})
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    (found,) = pairwise(rows, lines_of(store), items, control="random", benchmarks={})
    assert isinstance(found, Notes)
    assert found.lines == ("Target math, 10%: no table, because it has more than 12 lines.",)


def test_runs_without_an_evaluation_that_a_leaderboard_leaves_out_are_counted(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait")
    put(store, "random")
    put(store, "length", evaluated=False)
    printed = Leaderboard().report(store, None, tmp_path)
    assert "length" not in printed.replace("Left out: 1 runs without an evaluation (length).", "")
    assert "Left out: 1 runs without an evaluation (length)." in printed


def test_no_two_columns_of_the_csv_have_one_name(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for value in ("3", "4"):
        put(store, "nait", seed=0, **{"selector.seed": value})
    Leaderboard().report(store, None, tmp_path)
    header = (tmp_path / "leaderboard.csv").read_text().splitlines()[0].split(",")
    assert len(set(header)) == len(header)
    assert "settings.seed" in header
