"""Laws of the references: the base model has no budget, rows or seeds of its own, the full pool all of them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nait.core.statistics.results import Row
from nait.store import Store
from nait.sweeps.analyses.cost_table import Costs
from nait.sweeps.grouping.collect import collect
from nait.sweeps.plots.cost_spots import costs as spots_of
from nait.sweeps.plots.curves import CurvePoint, panels
from nait.sweeps.plots.forest import forest
from nait.sweeps.render.leaderboard_tables import long_cells, wide_cells
from nait.sweeps.render.report_document import Table
from nait.sweeps.render.table_notes import notes
from nait.sweeps.reports.full_report import Report
from nait.sweeps.reports.leaderboard import Leaderboard, measured
from nait.sweeps.stats.aggregates import Line, grouped, summarise
from nait.sweeps.stats.estimates import scores
from nait.sweeps.stats.paired import share_half_width
from nait.sweeps.stored_runs.method_names import BASE
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import ITEMS, TASKS, put

SEEDS = 3


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Base, full, random and a method over three seeds, asked for at 10 %; a labelled pool."""
    store = Store(tmp_path / "store")
    for seed in range(SEEDS):
        labelled = {"facts": {"truth": {"precision": 0.3, "auc": 0.7}}, "seed": seed}
        put(store, "base", trained=False, share=0.2, **labelled)  # type: ignore[arg-type]
        put(store, "full", rows=200, share=0.6, **labelled)  # type: ignore[arg-type]
        put(store, "random", share=0.4, **labelled)  # type: ignore[arg-type]
        put(store, "nait", share=0.5, **labelled)  # type: ignore[arg-type]
    return store


def lines_of(store: Store) -> dict[str, Line]:
    (one,) = measured(RunSet.load(store))
    return {line.method: line for line in one.lines if line.task == "nano"}


def shown(store: Store, method: str) -> dict[str, str]:
    (one,) = measured(RunSet.load(store))
    header, body = long_cells(one.lines)
    rows = [dict(zip(header, map(str, row), strict=True)) for row in body]
    return next(row for row in rows if row["selector"] == method and row["task"] == "nano")


def test_the_base_model_has_no_budget_rows_tokens_labels_or_training(store: Store, tmp_path: Path) -> None:
    row = shown(store, BASE)
    assert [row[name] for name in ("budget", "rows", "answer tokens", "select s", "train s")] == [""] * 5
    line = lines_of(store)[BASE]
    assert not line.truth
    assert not line.checks
    assert line.device_hours == pytest.approx(0.1 * 5 / 10)  # without the 5 s of a selection
    Leaderboard().write(measured(RunSet.load(store)), tmp_path)
    records = [
        one for one in json.loads((tmp_path / "leaderboard.json").read_text()) if one["method"] == BASE
    ]
    empty = ("budget", "selected_rows", "answer_tokens", "seconds_select", "seconds_train", "seed")
    assert {one[name] for one in records for name in empty} == {None}
    assert {one["selection"] for one in records} == {""}
    table = [one for one in csv.DictReader((tmp_path / "leaderboard.csv").open()) if one["method"] == BASE]
    assert {one[name] for one in table for name in (*empty, "precision")} == {""}


def test_the_full_pool_is_all_of_it_whatever_budget_was_asked_for(store: Store) -> None:
    row = shown(store, "full")
    assert (row["budget"], row["rows"]) == ("100%", "200")
    assert shown(store, "random")["budget"] == "10%"
    put(store, "full", rows=200, share=0.6, budget="30%")
    assert [
        one.budget
        for one in summarise(collect(RunSet.load(store)))
        if one.method == "full" and one.task == "nano"
    ] == ["100%"]


def test_one_evaluation_of_three_seeds_is_one_evaluation_everywhere(store: Store, tmp_path: Path) -> None:
    assert shown(store, BASE)["seeds"] == "1 (items only)"
    assert shown(store, "full")["seeds"] == "3"
    Leaderboard().write(measured(RunSet.load(store)), tmp_path)
    records = json.loads((tmp_path / "leaderboard.json").read_text())
    assert sum(one["method"] == BASE and one["task"] == "nano" for one in records) == 1
    assert sum(one["method"] == "full" and one["task"] == "nano" for one in records) == SEEDS
    Costs().report(store, None, tmp_path)
    (row,) = (line for line in (tmp_path / "costs.md").read_text().splitlines() if line.startswith("| base"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3:12] == ["", "1", "1", "3", "", "", "", "", "3.0"]
    several = [replace(lines_of(store)[BASE], seconds_train=1.0), lines_of(store)["nait"]]
    (spot,) = (one for one in spots_of(several, {})["nano"] if one.method == BASE)
    assert spot.items_only


def test_the_base_model_s_level_in_a_curve_says_items_only(store: Store) -> None:
    for layers in ("[1]", "[2]", "[3]"):
        for seed in range(SEEDS):
            put(store, "nait", seed=seed, layers=layers, share=0.5)
    curves = {curve.name: curve for curve in panels(summarise(collect(RunSet.load(store))), {})[0].curves}
    assert curves[BASE].level
    assert curves[BASE].items_only
    assert curves["full"].level
    assert not curves["full"].items_only


def test_references_are_compared_at_the_one_budget_and_drawn_without_it(store: Store) -> None:
    lines = lines_of(store)
    assert all(lines[name].difference for name in (BASE, "full", "nait"))
    found = forest([*lines.values()], {})
    assert found is not None
    assert set(found.names) == {BASE, "full", "nait"}
    _, body = wide_cells([*lines.values()])
    assert [row[0] for row in body] == ["full", "nait", "random", BASE]  # no budget splits them
    document = Report().document(RunSet.load(store), measured(RunSet.load(store)))
    (pairs,) = (s for s in document.sections if s.title == "Any two methods")
    named = {
        name
        for block in pairs.blocks
        if isinstance(block, Table)
        for name in (*block.header, block.body[0][0])
    }
    assert named == {"", "nait", "random", BASE, "full"}


def test_with_two_budgets_a_reference_is_compared_with_neither_and_a_note_says_so(store: Store) -> None:
    for seed in range(SEEDS):
        put(store, "random", seed=seed, budget="30%", rows=60)
        put(store, "nait", seed=seed, budget="30%", rows=60)
    (one,) = measured(RunSet.load(store))
    assert not any(line.difference for line in one.lines if line.method in (BASE, "full"))
    assert all(line.difference for line in one.lines if line.method == "nait")
    said = " ".join(notes(one.lines))
    assert f"{BASE}, full: not compared to random, which has 2 budgets" in said
    (against,) = measured(RunSet.load(store), BASE)
    assert all(line.difference for line in against.lines if line.method != BASE)


def test_a_drawn_selection_keeps_nothing_of_the_scores_that_it_ignored_whatever_its_label(
    tmp_path: Path,
) -> None:
    store = Store(tmp_path)
    put(store, "mine", order="Shuffled", facts={"label": "mine", "truth": {"precision": 0.2, "auc": 0.9}})
    put(store, "nait")
    rows = {row.method: row for row in collect(RunSet.load(store)) if row.task == "nano"}
    assert rows["nait"].checks == {"rho": 0.6}
    assert rows["mine"].checks == {}
    assert rows["mine"].truth == {"precision": 0.2}
    assert rows["mine"].seconds_select == 0.0


def test_seeds_that_selected_the_same_rows_are_one_selection(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(SEEDS):
        put(store, "nait", seed=seed, evaluated=False)
        put(store, "random", seed=seed, evaluated=False)
    seeds = {line.method: line.seeds for line in summarise(collect(RunSet.load(store)))}
    assert seeds == {"nait": 1, "random": SEEDS}


def evaluated_as(
    rows: list[Row], values: list[float], metric: str = "acc"
) -> tuple[list[Row], dict[tuple[str, str, str], dict[str, float]]]:
    """The rows of one task as scores of another metric, with these outcomes for each run."""
    own = [replace(row, metric=metric) for row in rows if row.task == TASKS[0]]
    outcomes = {f"{k}/h{k}": value for k, value in enumerate(values)}
    mean = sum(values) / len(values)
    items = {(row.evaluation, row.task, metric): outcomes for row in own}
    return [replace(row, value=mean, n=len(values)) for row in own], items


def test_only_a_share_of_items_is_bounded_by_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    put(store, "random")
    rows = collect(RunSet.load(store))
    right, right_items = evaluated_as(rows, [1.0] * 19 + [0.0])
    loss, loss_items = evaluated_as(rows, [0.9, 0.99, 0.95, 0.2] * 5, "loss")
    both = {line.metric: line for line in summarise([*right, *loss], {**right_items, **loss_items})}
    assert (both["acc"].share, both["loss"].share) == (True, False)
    for metric, (own, items) in {"acc": (right, right_items), "loss": (loss, loss_items)}.items():
        (alone,) = (line for line in summarise(own, items) if line.method == "nait")
        assert alone.half_width == both[metric].half_width  # another column changes nothing
    (score,) = {one.high - one.value for one in scores(grouped(loss), loss_items).values()}
    assert both["loss"].half_width == pytest.approx(score)
    assert both["loss"].half_width != pytest.approx(share_half_width(both["loss"].value, score, 20))
    assert CurvePoint(0.0, 0.95, 0.1, both["loss"].share).band[1] == pytest.approx(1.05)
    assert CurvePoint(0.0, 0.95, 0.1, both["acc"].share).band[1] == 1.0


@pytest.mark.parametrize(("stderr", "share"), [((0.9 * 0.1 / (ITEMS - 1)) ** 0.5, True), (0.2, False)])
def test_without_outcomes_the_standard_error_identifies_a_proportion(
    tmp_path: Path, stderr: float, share: bool
) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    rows = [
        replace(row, value=0.9, stderr=stderr) for row in collect(RunSet.load(store)) if row.task == TASKS[0]
    ]
    (line,) = summarise(rows)
    assert line.share is share
    wide = 1.959964 * stderr
    assert line.half_width == pytest.approx(share_half_width(0.9, wide, ITEMS) if share else wide)


def test_the_full_pool_in_a_shuffled_order_is_the_full_pool(store: Store) -> None:
    """In a sweep with `order=highest,shuffled`, it was a control of its own, which fits every budget: two results."""
    for seed in range(SEEDS):
        put(store, "nait", seed=seed, share=0.45, order="Shuffled")
        put(store, "full", rows=200, seed=seed, share=0.6, order="Shuffled")
        put(store, "full", rows=200, seed=seed, share=0.6, order="Highest")
    (one,) = measured(RunSet.load(store))
    lines = [line for line in one.lines if line.task == "nano"]
    assert [line.selector for line in lines if line.method == "full"] == ["full"]
    assert {line.budget for line in lines if line.method == "random"} == {"10%"}
    (full,) = (line for line in lines if line.method == "full")
    assert full.difference is not None


def test_a_difference_that_is_shown_at_several_targets_is_tested_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(SEEDS):
        for target in ("math", "code"):
            put(store, "base", trained=False, share=0.2, seed=seed, target=target)
            put(store, "random", share=0.4, seed=seed, target=target)
            put(store, "nait", share=0.5, seed=seed, target=target)
    (one,) = measured(RunSet.load(store))
    shown = [line for line in one.lines if line.difference]
    assert len(shown) == 4 * (2 + 2)
    assert {line.difference.family for line in shown if line.difference} == {4 * (1 + 2)}
    assert len({line.difference for line in shown if line.method == BASE}) == 4
    (said,) = [note for note in notes(one.lines) if note.startswith("minus random")]
    assert (
        "for the table's 12 differences to random; a line that is the same at several targets counts once"
        in said
    )
