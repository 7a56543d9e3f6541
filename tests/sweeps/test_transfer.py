"""Laws of the transfer matrix: its cells are the leaderboard's, its claims say only what the runs say."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nait.core.dataset.examples import Example, Turn
from nait.core.statistics.results import Row
from nait.eval.held_out import HeldOut
from nait.models.prompts.templates import TextTemplate
from nait.nano.pools import nano_model
from nait.store import Store, read_json, signed, write_json
from nait.store.files.checksums import CHECKSUM
from nait.sweeps.analyses.claims import Claim, claims
from nait.sweeps.analyses.transfer import Matrix, as_csv, grid, matrices
from nait.sweeps.grouping.collect import collect, outcomes
from nait.sweeps.render.report_document import Table
from nait.sweeps.render.svg import heat_maps
from nait.sweeps.reports.sections import transferred
from nait.sweeps.stats.aggregates import summarise
from nait.sweeps.stats.target_benchmarks import belongs
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import TASKS, put

NAMES = ("math", "code", "facts")
ALL = "+".join(NAMES)


def filled(store: Store, gains: dict[str, dict[str, float]]) -> Store:
    """Runs of three seeds whose targets add `gains` to the tasks."""
    for seed in range(3):
        for target, gain in gains.items():
            put(store, "random", target=target, seed=seed, share=0.3)
            put(
                store,
                "nait",
                target=target,
                seed=seed,
                share={task: 0.3 + gain.get(task, 0.0) for task in TASKS},
            )
    return store


def diagonal(size: float) -> dict[str, dict[str, float]]:
    return {name: {f"nano_{name}": size} for name in NAMES}


def found_in(store: Store) -> tuple[Matrix, dict[str, Claim]]:
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    (matrix,) = matrices(summarise(rows, items), {})
    said = claims([matrix], rows, items, reasoning=("math", "code"), control="random")
    return matrix, {claim.text.split(" ")[0] + claim.text.split(" ")[1]: claim for _, claim in said}


def test_a_target_owns_the_benchmark_of_its_name_or_the_one_it_is_given() -> None:
    assert belongs("math", "nano_math", {})
    assert belongs("gsm8k", "gsm8k", {})
    assert not belongs("math", "nano_mathematics", {})
    assert belongs("my refs", "heldout_my_refs", {})
    assert belongs("gsm8k", "gsm8k_cot", {})
    assert belongs("gsm", "gsm8k", {"gsm": "gsm8k"})
    assert belongs("gsm", "svamp", {"gsm": ["gsm8k", "svamp"]})
    assert not belongs("math", "nano_math", {"math": "gsm8k"})


@pytest.mark.parametrize("target", ["c+", "c#", "my refs", "gsm8k", "a.b-c", "über"])
def test_a_target_owns_the_tasks_of_its_held_out_rows_and_no_other_target_does(
    target: str, tmp_path: Path
) -> None:
    rows = [Example(f"r{k}", (Turn(f"what is {k}", str(k), options=(str(k), "x")),), row=k) for k in range(2)]
    suite = HeldOut().suite_of(
        {target: rows, f"easy_{target}": rows}, template=TextTemplate(prompt="{user} "), model=nano_model(),
        folder=tmp_path,
    )  # fmt: skip
    own, other = list(suite.tasks)
    assert [task for task in (*suite.tasks, *suite.choices) if belongs(target, task, {})] == [
        own, f"{own}_choices",
    ]  # fmt: skip
    assert belongs(f"easy_{target}", other, {})


def test_of_two_targets_that_fit_a_task_by_name_the_longer_one_has_it() -> None:
    assert belongs("mmlu", "mmlu_pro", {})
    assert not belongs("mmlu", "mmlu_pro", {}, ["mmlu", "mmlu_pro"])
    assert belongs("mmlu_pro", "mmlu_pro", {}, ["mmlu", "mmlu_pro"])
    assert belongs("mmlu", "mmlu", {}, ["mmlu", "mmlu_pro"])
    assert belongs("mmlu", "mmlu_pro", {"mmlu_pro": "other"}, ["mmlu", "mmlu_pro"])


def test_of_two_targets_of_one_length_the_one_at_the_end_of_the_name_has_the_task() -> None:
    for among in (["math", "word"], ["word", "math"]):
        assert [target for target in among if belongs(target, "math_word", {}, among)] == ["word"]
    assert belongs("math", "math_word", {"word": "other"}, ["math", "word"])


def test_a_task_of_a_longer_target_is_not_framed_for_the_shorter_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in ("math", "math_word"):
        for name in ("random", "nait"):
            put(store, name, target=target, share={"nano_math": 0.5, "math_word": 0.4})
    rows = collect(RunSet.load(store))
    (matrix,) = matrices(summarise(rows, outcomes(RunSet.load(store), rows)), {})
    assert matrix.own == {("math", "nano_math"), ("math_word", "math_word")}


def test_rows_are_targets_columns_are_benchmarks_without_their_mean(tmp_path: Path) -> None:
    matrix, _ = found_in(filled(Store(tmp_path), {**diagonal(0.4), ALL: {}}))
    assert set(matrix.targets) == {*NAMES, "all"}
    assert set(matrix.tasks) == set(TASKS)
    assert matrix.own == {(name, f"nano_{name}") for name in NAMES}
    assert len(matrix.cells) == 12


def test_a_planted_diagonal_is_significant_and_the_rest_is_not(tmp_path: Path) -> None:
    matrix, said = found_in(filled(Store(tmp_path), {**diagonal(0.5), ALL: {}}))
    shown = grid(matrix)
    assert (shown.strong == shown.framed).all()
    assert said["Adirection"].verdict == "yes"
    assert said["Thediagonal"].verdict == "yes"
    assert said["Reasoningand"].verdict == "not significant"
    assert said["Asingle"].verdict == "yes"


def test_equal_runs_support_no_claim(tmp_path: Path) -> None:
    matrix, said = found_in(filled(Store(tmp_path), {**{name: {} for name in NAMES}, ALL: {}}))
    assert not grid(matrix).strong.any()
    assert {claim.verdict for claim in said.values()} == {"not significant"}


def test_a_losing_diagonal_is_reported_as_losing(tmp_path: Path) -> None:
    gains = {name: dict.fromkeys(TASKS, 0.5) | {f"nano_{name}": 0.0} for name in NAMES}
    _, said = found_in(filled(Store(tmp_path), gains))
    assert said["Thediagonal"].verdict == "no"
    assert "Asingle" not in said


def test_what_reasoning_gives_to_others_benchmarks_is_what_its_claim_measures(tmp_path: Path) -> None:
    gains = {"math": dict.fromkeys(TASKS, 0.4), "code": dict.fromkeys(TASKS, 0.4), "facts": {}}
    store = filled(Store(tmp_path), gains)
    _, said = found_in(store)
    claim = said["Reasoningand"]
    assert claim.verdict == "yes"
    lines = [line for line in summarise(collect(RunSet.load(store))) if line.method == "nait"]
    score = {(line.target, line.task): line.value for line in lines}
    wanted = [
        score["code", "nano_math"] - score["facts", "nano_math"],
        score["math", "nano_code"] - score["facts", "nano_code"],
    ]
    assert claim.found.value == pytest.approx(np.mean(wanted))


def test_the_csv_has_every_cell(tmp_path: Path) -> None:
    matrix, _ = found_in(filled(Store(tmp_path), diagonal(0.4)))
    rows = list(csv.DictReader(io.StringIO(as_csv([matrix]))))
    assert len(rows) == 9
    cells = {(row["target"], row["task"]): float(row["difference"]) for row in rows}
    assert cells == {key: pytest.approx(one.value) for key, one in matrix.cells.items()}


def test_each_way_of_merging_is_a_row_beside_the_single_targets(tmp_path: Path) -> None:
    store = filled(Store(tmp_path), diagonal(0.4))
    ways = {"BestRank": 0.3, "RoundRobin": 0.2, "MeanZScore": 0.1, "EqualQuota": 0.05}
    for seed in range(3):
        for order, gain in ways.items():
            share = dict.fromkeys(TASKS, 0.3 + gain)
            _of_three_columns(store, put(store, "nait", target=ALL, seed=seed, share=share, order=order))
        put(store, "nait", target=ALL, seed=seed, share=0.6, merge="directions")
        put(store, "random", target=ALL, seed=seed, share=0.3)
    matrix, said = found_in(store)
    assert matrix.selector == "nait"
    merged = ["in turn", "mean z-score", "equal quota", "one direction", "union of top rows"]
    assert set(matrix.targets) == {*NAMES, *(f"all, {way}" for way in merged)}
    assert set(matrix.merged) == {f"all, {way}" for way in merged}
    for way in merged:
        assert all((f"all, {way}", task) in matrix.cells for task in TASKS)
    assert matrix.cells["all, union of top rows", "nano_math"].value > 0.15
    claimed = [
        text for text in _texts(store) if text.startswith("A single direction beats all directions merged (")
    ]
    assert len(claimed) == 5
    assert "Asingle" in said


def _of_three_columns(store: Store, run: str) -> None:
    """Makes the scores of a run a table with a column for each target."""
    links = read_json(store.folder("runs", run) / "manifest.json")["links"]
    path = store.folder("scores", links["scores"]) / "manifest.json"
    rest = {key: value for key, value in read_json(path).items() if key != CHECKSUM}
    write_json(path, signed({**rest, "targets": list(NAMES)}))


def _texts(store: Store) -> list[str]:
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    found = matrices(summarise(rows, items), {})
    return [claim.text for _, claim in claims(found, rows, items, reasoning=(), control="random")]


def test_one_target_gives_no_matrix(tmp_path: Path) -> None:
    store = filled(Store(tmp_path), {"math": {}})
    rows = collect(RunSet.load(store))
    assert matrices(summarise(rows, outcomes(RunSet.load(store), rows)), {}) == []


def test_claims_are_made_over_the_seeds_that_all_runs_share(tmp_path: Path) -> None:
    """A sweep that was stopped: one target lacks a seed."""
    store = filled(Store(tmp_path / "whole"), diagonal(0.3))
    put(store, "random", target="math", seed=3, share=0.3)
    put(store, "nait", target="math", seed=3, share=0.5)
    _, said = found_in(store)
    assert {claim.found.seeds for claim in said.values()} == {3}


def test_a_cell_has_the_verdict_of_the_leaderboard(tmp_path: Path) -> None:
    store = filled(Store(tmp_path), diagonal(0.3))
    rows = collect(RunSet.load(store))
    lines = summarise(rows, outcomes(RunSet.load(store), rows))
    (matrix,) = matrices(lines, {})
    held = {(line.target, line.task): line.difference for line in lines if line.method == "nait"}
    assert matrix.cells == {place: held[place] for place in matrix.cells}


def test_one_seed_tests_no_claim_and_marks_no_cell(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for target in NAMES:
        put(store, "random", target=target, share=0.2)
        put(
            store,
            "nait",
            target=target,
            share={task: 0.9 if task == f"nano_{target}" else 0.2 for task in TASKS},
        )
    matrix, said = found_in(store)
    shown = grid(matrix)
    assert not shown.strong.any()
    assert "items only" in shown.title
    assert {claim.verdict for claim in said.values()} == {"not tested (items only)"}
    rows = list(csv.DictReader(io.StringIO(as_csv([matrix]))))
    assert {(row["significant"], row["p"], row["interval over"]) for row in rows} == {
        ("False", "", "items only")
    }


def test_the_claims_of_all_matrices_are_one_family(tmp_path: Path) -> None:
    store = filled(Store(tmp_path), {**diagonal(0.3), ALL: {}})
    rows = collect(RunSet.load(store))
    items = outcomes(RunSet.load(store), rows)
    found = matrices(summarise(rows, items), {})
    once = claims(found, rows, items, reasoning=("math",), control="random")
    twice = claims([*found, *found], rows, items, reasoning=("math",), control="random")
    assert {claim.found.family for _, claim in once} == {6}  # three claims, and each single against all
    assert {claim.found.family for _, claim in twice} == {12}


def test_a_claim_holds_where_lower_is_better_and_the_own_direction_is_lower(tmp_path: Path) -> None:
    store = filled(
        Store(tmp_path), {name: dict.fromkeys(TASKS, 0.5) | {f"nano_{name}": 0.0} for name in NAMES}
    )
    rows = [replace(row, higher_is_better=False) for row in collect(RunSet.load(store))]
    items = outcomes(RunSet.load(store), rows)
    found = matrices(summarise(rows, items), {})
    said = {
        claim.text: claim.verdict for _, claim in claims(found, rows, items, reasoning=(), control="random")
    }
    assert said["The diagonal wins: on each benchmark its own direction beats the others"] == "yes"


def test_claims_over_benchmarks_of_different_units_have_a_note(tmp_path: Path) -> None:
    rows = collect(RunSet.load(filled(Store(tmp_path), diagonal(0.4))))
    items = outcomes(RunSet.load(Store(tmp_path)), rows)
    found = matrices(summarise(rows, items), {})

    def caption(rows: list[Row]) -> str:
        table = transferred(found, rows, items, reasoning=(), control="random")[-1]
        assert isinstance(table, Table)
        return table.caption

    assert "different units" not in caption(rows)
    errors = [replace(row, value=3.0) if row.task == "nano_code" else row for row in rows]
    assert caption(errors).endswith("over benchmarks of different units: nano_code (acc), and others.")


def test_blue_is_better_in_every_column_and_columns_where_lower_is_better_say_so(tmp_path: Path) -> None:
    rows = collect(RunSet.load(filled(Store(tmp_path), diagonal(0.4))))
    rows = [replace(row, higher_is_better=row.task != "nano_code") for row in rows]
    (matrix,) = matrices(summarise(rows, outcomes(RunSet.load(Store(tmp_path)), rows)), {})
    shown = grid(matrix)
    code = list(matrix.tasks).index("nano_code")
    assert shown.turned == {code}
    assert shown.columns[code] == "nano_code (lower is better)"
    ax, _ = heat_maps([shown], diverging=True).axes
    drawn = np.asarray(ax.collections[0].get_array()).reshape(shown.values.shape)
    signs = [-1 if task == "nano_code" else 1 for task in matrix.tasks]
    assert drawn == pytest.approx(shown.values * signs)
