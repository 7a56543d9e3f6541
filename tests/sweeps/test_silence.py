"""Laws of what tables say: no number where nothing was measured, nothing of one seed or name that holds for all."""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import nait
from nait import sweeps
from nait.core.ranking.orders import Highest, Shuffled
from nait.core.statistics.results import Evaluation, Item, Member, Result, Row
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.stages.checks.score_checks import warnings_under
from nait.store import Store
from nait.sweeps.analyses.caveats import NO_SCORES, warnings
from nait.sweeps.analyses.overlap import lengths
from nait.sweeps.grouping.collect import collect, headlines, sheets
from nait.sweeps.plots.cost_spots import Spot
from nait.sweeps.plots.curves import CurvePoint
from nait.sweeps.render.leaderboard_tables import number, wide_cells
from nait.sweeps.render.markdown import table
from nait.sweeps.render.report_document import Notes
from nait.sweeps.render.table_notes import notes
from nait.sweeps.reports.leaderboard import Leaderboard, measured
from nait.sweeps.stats.aggregates import summarise
from nait.sweeps.stored_runs.cost_ledger import RunCost, spendings
from nait.sweeps.stored_runs.picks import read_picks
from nait.sweeps.stored_runs.run_set import RunSet
from tests.older_stores import without_checksums

from .fixtures import put
from .test_boards import record_again


def with_reference(store: Store, selector: str, content: str, **facts: object) -> None:
    """The only run of the selector once more, its scores for another reference set and the same rows selected."""
    run = next(one for one in store.artifacts("runs") if one.manifest["labels"]["selector"] == selector)
    scores = store.find("scores", run.manifest["links"]["scores"])
    selection = store.find("selections", run.manifest["links"]["selection"])
    assert scores is not None
    assert selection is not None
    outer = ("kind", "address", "key")
    known = {name: value for name, value in scores.manifest.items() if name not in outer}
    sets = [{**one, "examples": content} for one in scores.manifest["key"]["targets"]]
    other = store.produce("scores", {**scores.manifest["key"], "targets": sets}, lambda _: {**known, **facts})
    chosen = {name: value for name, value in selection.manifest.items() if name not in outer}
    made = store.produce(
        "selections", {**selection.manifest["key"], "scores": other.address}, lambda _: chosen
    )
    record_again(store, run, scores=other.address, selection=made.address)


def test_warnings_of_missing_scores_are_unknown_and_each_warning_is_listed_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    adapter = store.produce("adapters", {"rows": "r"}, lambda _: {"warnings": ["the loss does not fall"]})
    put(store, "nait", facts={"warnings": ["the loss does not fall"]}, also={"adapter": adapter.address})

    def said() -> list[str]:
        rows = collect(RunSet.load(store))
        (block,) = warnings(RunSet.load(store), rows, summarise(rows))
        assert isinstance(block, Notes)
        return [one for one in block.lines if one.startswith("nait: ")]

    assert said() == ["nait: the loss does not fall"]
    shutil.rmtree(tmp_path / "adapters")  # as in a store of fetched records
    shutil.rmtree(tmp_path / "scores")
    assert said() == ["nait: the loss does not fall", f"nait: {NO_SCORES}"]


@pytest.mark.parametrize(
    ("asked", "headlines"),
    [(["a_tag"], {"nano"}), (["nano_math", "a_tag"], {"nano", "nano_math"}), (["nano_math"], {"nano_math"})],
)
def test_a_requested_name_without_a_result_shows_its_tasks(
    tmp_path: Path, asked: list[str], headlines: set[str]
) -> None:
    store = Store(tmp_path)
    put(store, "nait")
    (evaluation,), (run,) = store.artifacts("evaluations"), store.artifacts("runs")
    key = {**evaluation.manifest["key"], "suite": {**evaluation.manifest["key"]["suite"], "requested": asked}}
    facts = {
        name: value for name, value in evaluation.manifest.items() if name not in ("kind", "address", "key")
    }

    def write(part: Path) -> dict[str, object]:
        for name in ("results.json", "items.parquet"):
            shutil.copyfile(evaluation.path / name, part / name)
        return facts

    record_again(store, run, evaluation=store.produce("evaluations", key, write).address)
    shutil.rmtree(run.path)
    assert {row.task for row in collect(RunSet.load(store)) if row.headline} == headlines


def test_a_tag_of_tasks_without_a_group_shows_each_of_them() -> None:
    results = [Result(task, "acc", 0.5, None, 4) for task in ("one", "two")]
    grouped = Result(
        "both", "acc", 0.5, None, 8, members=tuple(Member(r.task, "acc", "", 0.5) for r in results)
    )
    assert headlines(["tag"], results) == {"one", "two"}
    assert headlines(["tag", "one"], results) == {"one", "two"}
    assert headlines(["tag"], [*results, grouped, Result("three", "acc", 0.5, None, 4)]) == {"both", "three"}


def test_ratios_that_select_the_same_rows_are_named_as_one_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (0, 1):
        put(store, "random", seed=seed, share=0.4)
        first = store.find("runs", put(store, "nait", seed=seed, share=0.6))
        assert first is not None
        shared = {name: str(first.manifest["links"][name]) for name in ("evaluation", "adapter")}
        put(store, "nait", seed=seed, budget="12%", evaluated=False, also=shared)
        put(store, "nait", seed=seed, budget="30%", share=0.6, rows=60)
    (sheet,) = sheets(RunSet.load(store))
    (said,) = [note for note in sheet.notes if "One result" in note]
    assert "under 2 names, which selected the same rows: nait 10%, nait 12%." in said


def a_group(name: str, *tasks: str) -> Result:
    members = tuple(Member(task, "acc", "", 1 / len(tasks)) for task in tasks)
    return Result(name, "acc", 0.5, None, 4, is_group=True, members=members)


def test_a_tag_beside_a_group_counts_its_own_tasks_once() -> None:
    one, two, three = (Result(task, "acc", 0.5, None, 4) for task in ("one", "two", "three"))
    group = a_group("group", "two", "three")
    tagged = {"tag": ("one", "two")}
    assert headlines(["tag", "group"], [group, one, two, three], tagged) == {"group", "one", "two"}
    assert headlines(["tag", "three"], [one, two, three], tagged) == {"one", "two", "three"}
    inner = a_group("inner", "one", "two")  # a group inside the tag
    assert headlines(["tag", "group"], [group, inner, one, two, three], tagged) == {"group", "inner"}
    single = a_group("single", "one")  # the mean of one task is that task's result
    assert headlines(["tag", "single"], [single, one, two], tagged) == {"single", "two"}
    assert headlines(["tag"], [single, one, two], tagged) == {"single", "two"}
    assert headlines(["tag", "single"], [single, one, two]) == {"single", "two"}


def of_any_target(store: Store) -> None:
    """Gives every score table the one column of a method that reads no target."""
    for one in store.artifacts("scores"):
        without_checksums(one.path, targets=["any"])


def test_runs_that_selected_the_same_rows_are_one_whatever_their_selection_s_address(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", evaluated=False)
    with_reference(store, "random", "other00")
    (sheet,) = sheets(RunSet.load(store))
    assert {row.selector for row in sheet.rows} == {"random"}
    assert not any("different results" in said for said in sheet.notes)
    assert {line.seeds for line in summarise(sheet.rows)} == {1}


@pytest.mark.parametrize("wraps", [False, True])
def test_a_method_that_reads_no_target_is_one_line_for_all_reference_sets(
    tmp_path: Path, wraps: bool
) -> None:
    store = Store(tmp_path)
    settings = {"like": {"_target_": "x.Other"}} if wraps else {}
    put(store, "length", evaluated=False, **settings)  # type: ignore[arg-type]
    with_reference(store, "length", "other00")
    of_any_target(store)
    names = {row.selector for row in collect(RunSet.load(store))}
    assert len(names) == (2 if wraps else 1)
    assert wraps or names == {"length"}


def test_what_was_not_measured_is_empty_in_every_file(tmp_path: Path) -> None:
    store, out = Store(tmp_path / "store"), tmp_path / "out"
    out.mkdir()
    put(store, "nait", evaluated=False)
    Leaderboard().write(measured(RunSet.load(store)), out)
    (record,) = json.loads((out / "leaderboard.json").read_text())
    names = ("value", "seconds_train", "seconds_evaluate")
    assert [record[name] for name in names] == [None] * 3
    (row,) = csv.DictReader((out / "leaderboard.csv").open())
    assert [row[name] for name in names] == [""] * 3


def test_answer_tokens_are_those_of_all_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "random", seed=seed)
    (one,) = read_picks(RunSet.load(store), collect(RunSet.load(store)))
    means = []
    for chosen in one.by_seed.values():
        places = [chosen.ids.index(key) for key in chosen.chosen]
        means.append(chosen.answer_tokens[places].mean())
    assert len(set(means)) > 1
    assert lengths([one])[1][2] == pytest.approx(np.mean(means))


def test_a_name_s_bar_backslash_and_markup_stay_in_its_cell(tmp_path: Path) -> None:
    head, rule, body = table(["a", "b"], [[r"x\|y|<b>*z*", "0.1"]]).splitlines()
    assert rule.count("|") == head.count("|") == 3
    assert body.replace(r"\|", "").count("|") == 3
    assert r"x&#92;\|y\|&lt;b&gt;\*z\*" in body
    store = Store(tmp_path / "store")
    put(store, "mine|<i>")
    Leaderboard().write(measured(RunSet.load(store)), tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    assert r"mine\|&lt;i&gt;" in text
    assert "mine|" not in text


def test_an_order_that_ignores_scores_has_no_length_warning() -> None:
    said = (
        "math: the score follows length (Spearman rho +0.60 with tokens): "
        "compare with a length-matched control before crediting the content."
    )
    scores = {"length_correlation": {"math": 0.6}, "warnings": [said, "another"]}
    assert warnings_under(scores, Shuffled()) == ["another"]
    assert warnings_under(scores, Highest()) == [said, "another"]


def spent(store: Store, target: str, seed: int, reference: str) -> RunCost:
    row = Row(
        "nait", target, "1%", seed, "m", "", "", None, None, 0, False, 1, 1, 1.0, None, None, 0.0, None,
        "", "", "", f"{target}{seed}{reference}",
    )  # fmt: skip
    return RunCost(row, {}, {}, priced=False, reference=reference)


def test_targets_are_counted_by_content_and_draws_by_seed_count_as_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    two_files = [spent(store, "ref", 0, "a"), spent(store, "ref", 0, "b")]
    assert spendings(two_files)[0].targets == 2
    drawn = [spent(store, "ref", seed, str(seed)) for seed in range(3)]
    assert spendings(drawn)[0].targets == 1
    assert spendings([*drawn, spent(store, "code", 0, "c")])[0].targets == 2
    assert spendings(drawn)[0].train is None


def test_a_table_of_the_untrained_model_alone_says_that_nothing_was_trained(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "random", trained=False)
    (one,) = measured(RunSet.load(store))
    said = " ".join(Leaderboard().notes(one))
    assert "Nothing was trained: the table has only the untrained model" in said
    assert "No random control" not in said


def test_bands_of_shares_end_where_shares_do(tmp_path: Path) -> None:
    assert CurvePoint(0.0, 0.02, 0.1, share=True).band == pytest.approx((0.0, 0.12))
    assert Spot("nait", "", 1.0, 0.98, 0.1, share=True).band == pytest.approx((0.88, 1.0))
    assert CurvePoint(0.0, 0.02, 0.1).band == pytest.approx((-0.08, 0.12))
    store = Store(tmp_path)
    put(store, "nait", share=0.02)
    (one,) = measured(RunSet.load(store))
    assert all(line.share for line in one.lines)
    beyond = {place: dict.fromkeys(found, 20.0) for place, found in one.items.items()}
    assert not any(line.share for line in summarise(one.rows, beyond))


def with_perplexity(store: Store, selector: str, seed: int, nats: list[float]) -> None:
    """A run on one task whose metric is a perplexity: its items are log-likelihoods."""
    run = put(store, selector, seed=seed, share={"words": 0.5})
    record = store.find("runs", run)
    assert record is not None
    evaluation = store.find("evaluations", record.manifest["links"]["evaluation"])
    assert evaluation is not None
    value = math.exp(-sum(nats) / len(nats))
    items = tuple(Item("words", k, "perplexity", "", one, f"h{k}") for k, one in enumerate(nats))
    result = Result("words", "perplexity", value, 0.25, len(nats), higher_is_better=False)
    without_checksums(evaluation.path)
    write_evaluation(evaluation.path, Evaluation((result,), items))


def test_outcomes_that_do_not_average_to_the_score_make_no_interval_and_no_difference(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in (0, 1):
        with_perplexity(store, "random", seed, [-2.0, -3.0, -4.0 - seed])
        with_perplexity(store, "nait", seed, [-1.0, -2.0, -3.0 - seed])
    (one,) = measured(RunSet.load(store))
    assert {line.difference for line in one.lines} == {None}
    values = {
        line.selector: (line.value, line.half_width) for line in one.lines if line.metric == "perplexity"
    }
    expected = (math.exp(3) + math.exp(10 / 3)) / 2
    assert values["random"][0] == pytest.approx(expected)
    spread = math.sqrt(2) * (math.exp(10 / 3) - math.exp(3)) / 2
    assert values["random"][1] == pytest.approx(12.7062 * spread / math.sqrt(2), rel=1e-4)
    (said,) = [said for said in notes(one.lines) if said.startswith("No mean over items")]
    assert "words (perplexity)" in said


def test_checks_of_opposite_signs_do_not_cancel_over_seeds(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed=seed, named=False, evaluated=False)
    seen = [
        {"rho": 0.7, "margin": 0.05, "top layer": 0.9},
        {"rho": -0.8, "margin": 0.4, "top layer": 0.2},
        {"margin": 0.4},
    ]
    rows = [
        replace(row, seed=seed, checks=checks)
        for row in collect(RunSet.load(store))[:1]
        for seed, checks in enumerate(seen)
    ]
    (line,) = summarise(rows)
    assert line.checks == {"rho": -0.8, "margin": 0.05, "top layer": 0.9}
    header, body = wide_cells([line])
    assert dict(zip(header, body[0], strict=True))["rho"] == "-0.80"


@pytest.mark.parametrize("undefined", [math.nan, math.inf])
def test_a_result_that_is_not_finite_has_no_interval_and_is_not_the_best(
    tmp_path: Path, undefined: float
) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "nait", seed=seed, share={"loss": 0.5})
        put(store, "rds", seed=seed, share={"loss": 0.5})
    rows = [
        replace(row, value=undefined if (row.method, row.seed) == ("nait", 1) else 2.0, stderr=0.1,
                higher_is_better=False)
        for row in collect(RunSet.load(store))
        if row.task == "loss"
    ]  # fmt: skip
    lines = summarise(rows)
    assert [line.method for line in lines] == ["rds", "nait"]
    assert [line.half_width is None for line in lines] == [False, True]
    header, body = wide_cells(lines)
    assert [row[header.index("loss")] for row in body] == [
        f"2.000 ± {lines[0].half_width:.3f}",
        f"{undefined}",
    ]
    said = "A run's result is not a number, so the line has none: nait on loss."
    assert (said in notes(lines)) == math.isnan(undefined)


def test_a_result_of_nan_is_null_in_the_json_and_leaves_the_others_their_difference(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    for seed in (0, 1):
        with_perplexity(store, "random", seed, [-2.0, -3.0, -4.0])
        with_perplexity(store, "nait", seed, [-1.0, math.nan, -3.0])
    Leaderboard().write(measured(RunSet.load(store)), tmp_path)
    text = (tmp_path / "leaderboard.json").read_text()
    assert "NaN" not in text
    assert {row["value"] is None for row in json.loads(text) if row["selector"] == "nait"} == {True}
    said = (tmp_path / "leaderboard.md").read_text()
    assert "not a number, so the line has none: nait on words." in said


def test_no_number_is_a_negative_zero() -> None:
    assert [number(value, signed=signed) for value in (-0.0, -0.0004) for signed in (False, True)] == [
        "0.000", "+0.000",
    ] * 2  # fmt: skip
    root = Path(nait.__file__).parent
    files = [file for folder in (Path(sweeps.__file__).parent, root) for file in folder.rglob("*.py")]
    signed = {
        f"{file.name}: {found}" for file in files for found in re.findall(r":\+\.\d[efg]\}", file.read_text())
    }
    assert signed == set()


def test_a_huge_score_keeps_four_digits() -> None:
    assert (number(0.5), number(3.2426916402507635e48), number(-2e6, signed=True)) == (
        "0.500",
        "3.243e+48",
        "-2.000e+06",
    )
