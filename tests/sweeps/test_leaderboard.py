"""Laws of the leaderboard: traceable rows, honest intervals, and only seeds are averaged."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from nait.core.errors import StoreError
from nait.core.statistics.results import Evaluation, Result, Row
from nait.core.statistics.significance import SeedVariance
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.stages.report import record_run
from nait.store import Store
from nait.sweeps.grouping.collect import collect
from nait.sweeps.render.leaderboard_tables import difference_cells, wide_cells
from nait.sweeps.render.means_csv import as_means_csv
from nait.sweeps.render.table_notes import detectable, how_tested, notes
from nait.sweeps.reports.leaderboard import Leaderboard
from nait.sweeps.stats.aggregates import Line, summarise
from nait.sweeps.stats.paired import Difference
from nait.sweeps.stored_runs.run_set import RunSet


def put(store: Store, selector: str, seed: int, value: float, **settings: str) -> str:
    """A run in the store, without having run anything."""
    name = f"{selector}{seed}{value}{settings}"
    results = (
        Result("toy", "acc", value, 0.05, 100, is_group=True),
        Result("toy_part", "acc", value, 0.05, 100),
        Result("toy", "other", value, None, 100, primary=False),
    )

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, Evaluation(results, ()))
        return {}

    evaluation = store.produce("evaluations", {"suite": {"requested": ["toy"]}, "name": name}, write)
    labels = {
        "selector": selector,
        "target": "math",
        "budget": "10%",
        "seed": seed,
        "model": "m",
        "pool": "p",
        "trained": True,
    }
    facts = {
        "selected_rows": 5,
        "answer_tokens": 50,
        "phase_seconds": {"select": 1.0},
        "device_hours": 0.1,
        "money": None,
        "settings": settings,
    }
    links = {"selection": "ab", "adapter": "cd", "evaluation": evaluation.address}
    return record_run(store, {**links, "name": name}, labels, facts).address


def test_runs_that_differ_in_the_seed_alone_are_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, value in enumerate([0.2, 0.4, 0.6]):
        put(store, "nait", seed, value)
    (line,) = [line for line in summarise(collect(RunSet.load(store))) if line.task == "toy"]
    assert line.seeds == 3
    assert line.value == pytest.approx(0.4)
    wanted = stats.t.interval(0.95, 2, loc=0.4, scale=stats.sem([0.2, 0.4, 0.6]))
    assert line.half_width == pytest.approx((wanted[1] - wanted[0]) / 2)


def test_runs_that_differ_in_more_are_kept_apart_and_named_by_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2, layers="all", site="mlp")
    put(store, "nait", 0, 0.3, layers="last", site="mlp")
    put(store, "random", 0, 0.3)
    names = {line.selector for line in summarise(collect(RunSet.load(store)))}
    assert names == {"nait layers=all", "nait layers=last", "random"}


def test_the_interval_is_never_narrower_than_the_items_allow(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed, 0.5)
    (line,) = [line for line in summarise(collect(RunSet.load(store))) if line.task == "toy"]
    assert line.half_width == pytest.approx(1.959964 * 0.05)


def test_a_share_of_zero_has_an_interval() -> None:
    row = Row(
        "nait", "t", "1%", 0, "m", "task", "acc", 0.0, 0.0, 4, True, 1, 1, 0, 0, 0, 0, None, "", "", "", ""
    )
    (line,) = summarise([row])
    assert line.half_width == pytest.approx(1.959964**2 / (4 + 1.959964**2))


def test_only_primary_metrics_are_rows_unless_asked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2)
    assert {row.metric for row in collect(RunSet.load(store))} == {"acc"}
    assert {row.metric for row in collect(RunSet.load(store), primary=False)} == {"acc", "other"}


def test_the_files_say_the_same_and_the_print_shows_what_was_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run = put(store, "nait", 0, 0.2)
    put(store, "random", 0, 0.9)
    out = tmp_path / "out"
    out.mkdir()
    text = Leaderboard().report(store, [run], out)
    assert "toy_part" not in text
    assert "random" not in text.split("No random control")[0]
    rows = json.loads((out / "leaderboard.json").read_text())
    assert {row["task"] for row in rows} == {"toy", "toy_part"}
    assert len((out / "leaderboard.csv").read_text().splitlines()) == 3
    assert "toy_part" in (out / "leaderboard.md").read_text()


def test_missing_parts_are_named_in_notes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2)
    rows = [replace(row, missing="bbh_snarks") for row in collect(RunSet.load(store))]
    said = " ".join(notes(summarise(rows)))
    for word in ("No random control", "Fewer than three seeds", "lacks bbh_snarks"):
        assert word in said


def test_a_run_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no run"):
        RunSet.load(Store(tmp_path), ["ab" * 16])


def test_missing_standard_errors_do_not_hide_the_value() -> None:
    row = Row(
        "nait",
        "t",
        "1%",
        0,
        "m",
        "task",
        "acc",
        0.5,
        math.nan,
        4,
        True,
        1,
        1,
        0,
        0,
        0,
        0,
        None,
        "",
        "",
        "",
        "",
    )
    (line,) = summarise([row])
    assert line.half_width is None
    assert line.value == 0.5


def line(selector: str, task: str, value: float, *, target: str = "math", **more: Any) -> Line:
    row = Row(
        selector, target, "1%", 0, "m", task, "acc", value, 0.1, 9, True, 1, 1, 0, 0, 0, 0, None, "", "", "", "",
        method=selector,
    )  # fmt: skip
    (found,) = summarise([row])
    return replace(found, **more)


def test_a_target_s_own_benchmark_orders_its_rows_and_a_note_says_so() -> None:
    values = {"nait": (0.9, 0.1), "random": (0.5, 0.8)}
    lines = [
        line(name, task, value) for name, both in values.items()
        for task, value in zip(("nano_math", "nano_code"), both, strict=True)
    ]  # fmt: skip
    assert [row[0] for row in wide_cells(lines)[1]] == ["nait", "random"]
    assert any("by the target's own benchmark (math: nano_math)" in said for said in notes(lines))
    other = [replace(one, target="prose") for one in lines]
    assert [row[0] for row in wide_cells(other)[1]] == ["random", "nait"]  # by nano_code, the first headline
    assert any("Order: by nano_code for prose" in said for said in notes(other))
    assert [row[0] for row in wide_cells(other, {"prose": "nano_math"})[1]] == ["nait", "random"]


def test_budgets_are_in_the_order_of_their_numbers() -> None:
    budgets = ["100%", "1e-05%", "30%", "0.5%", "1000 rows", "8 rows"]
    lines = [replace(line("nait", "nano_math", 0.5), budget=budget) for budget in budgets]
    assert [row[2] for row in wide_cells(lines)[1]] == [
        "8 rows",
        "1000 rows",
        "1e-05%",
        "0.5%",
        "30%",
        "100%",
    ]


@pytest.mark.parametrize("budget", ["95 rows", "100%"])
def test_a_line_with_fewer_rows_than_its_budget_is_in_a_note(budget: str) -> None:
    rows = {"nait": 60, "random": 95}
    lines = [line(name, "nano_math", 0.5, budget=budget, selected_rows=count) for name, count in rows.items()]
    assert "Fewer rows selected than the budget asks for: nait 60 of 95." in notes(lines)
    alone = notes(lines[:1])
    assert ("Fewer rows selected than the budget asks for: nait 60 of 95." in alone) == (budget == "95 rows")
    tokens = [replace(one, budget="95 tokens") for one in lines]
    assert not any("Fewer rows" in said for said in notes(tokens))
    assert not any("Fewer rows" in said for said in notes(lines[1:]))


def test_a_shortfall_that_all_lines_share_is_in_a_note() -> None:
    counts = {"selected_rows": 60, "fewest_rows": 60, "budget_rows": 95}
    asked = [line(name, "nano_math", 0.5, **counts) for name in ("nait", "random")]
    said = "Fewer rows selected than the budget asks for: nait 60 of 95, random 60 of 95."
    assert said in notes(asked)
    one_seed = [replace(one, selected_rows=95, fewest_rows=94) for one in asked[:1]]  # a mean of 94.7
    assert "Fewer rows selected than the budget asks for: nait 94 of 95." in notes(one_seed)


def test_merged_targets_are_ordered_by_the_mean_of_their_benchmarks() -> None:
    lines = [
        line(name, task, value, target="math+code")
        for name, values in {"a": (0.2, 0.2, 0.9), "b": (0.5, 0.4, 0.1)}.items()
        for task, value in zip(("nano_math", "nano_code", "nano_facts"), values, strict=True)
    ]
    assert [row[0] for row in wide_cells(lines)[1]] == ["b", "a"]


def test_a_table_of_the_control_alone_has_no_warning_about_a_missing_control() -> None:
    assert not any("No random control" in said for said in notes([line("random", "nano_math", 0.5)]))
    both = [line("random", "nano_math", 0.5), line("nait", "nano_math", 0.5)]
    assert any("No line has a random control with the same model" in said for said in notes(both))


def test_the_order_of_lines_without_a_target_is_named() -> None:
    lines = [line(name, "toy", value, target="") for name, value in (("a", 0.2), ("b", 0.4))]
    assert "Order: by toy for lines without a target, which have no own benchmark in this table." in notes(
        lines
    )
    lines = [line(name, "toy", value, target="art") for name, value in (("a", 0.2), ("b", 0.4))]
    assert "Order: by toy for art, which has no own benchmark in this table." in notes(lines)


def test_one_seed_is_called_what_it_is_in_its_cells() -> None:
    found = replace(line("nait", "nano_math", 0.9), difference=Difference(0.4, 0.3, 0.5, 1, 60))
    (row,) = difference_cells([found])[1]
    assert row[-1] == "+0.400 [+0.300, +0.500] items only"
    (row,) = wide_cells([found])[1]
    assert "1 (items only)" in row
    said = " ".join(notes([found]))
    assert "items only: one seed" in said
    assert "no difference is called significant" in said
    assert "power" not in said


def test_a_difference_that_is_not_tested_has_no_p_in_the_file_of_means() -> None:
    untested, tested = (
        Difference(0.4, 0.3, 0.5, 1, 60),
        Difference(0.4, 0.3, 0.5, 2, 60, p=0.01, adjusted=0.02),
    )
    lines = [
        replace(line("=nait", "nano_math", 0.9), difference=untested),
        replace(line("b", "nano_math", 0.9), difference=tested),
    ]
    one, two = csv.DictReader(io.StringIO(as_means_csv([lines], control="random")))
    assert (one["difference"], one["p"], one["significant"]) == ("0.4", "", "False")
    assert (two["p"], two["significant"]) == ("0.02", "True")
    assert one["selector"] == "'=nait"  # no cell is a formula


def test_the_smallest_difference_found_is_that_after_correction() -> None:
    one = Difference(0.1, 0.0, 0.2, 3, 100, p=0.05, over_items=0.001, sides=(SeedVariance(0.0004, 2),))
    few, many = (
        detectable([replace(line("nait", "nano_math", 0.5), difference=replace(one, family=family))])
        for family in (1, 12)
    )
    assert "after Holm's correction" in few[0]
    lines = [replace(line("nait", "nano_math", 0.5), difference=replace(one, family=1))]
    assert how_tested(lines, "random").endswith("for the table's one difference to random")
    assert float(few[0].split()[-1][:-1]) < 0.6 * float(many[0].split()[-1][:-1])


@pytest.mark.parametrize(("second", "wanted"), [("EUR", (2.0, "EUR")), ("USD", (None, ""))])
def test_money_has_its_currency_and_is_blank_where_runs_have_several(
    second: str, wanted: tuple[float | None, str], tmp_path: Path
) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "nait", seed, 0.2)
    rows = [
        replace(row, money=2.0, currency=second if row.seed else "EUR") for row in collect(RunSet.load(store))
    ]
    assert {(one.money, one.currency) for one in summarise(rows)} == {wanted}


def test_money_is_blank_where_one_run_has_no_price(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "nait", seed, 0.2)
    rows = [replace(row, money=1.0 if row.seed == 0 else None) for row in collect(RunSet.load(store))]
    assert {one.money for one in summarise(rows)} == {None}


def test_where_lower_is_better_the_lowest_leads_and_a_note_says_so() -> None:
    lines = [
        line(name, "wikitext", value, higher_is_better=False) for name, value in (("a", 20.0), ("b", 12.0))
    ]
    assert [row[0] for row in wide_cells(lines)[1]] == ["b", "a"]
    assert "Lower is better: wikitext." in notes(lines)
