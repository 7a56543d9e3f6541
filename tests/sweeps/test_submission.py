"""`nait submit`: whole runs become a row, runs that lack something are refused by name."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.core.errors import NaitError
from nait.core.statistics.results import Evaluation, Item, Result
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.store import Store
from nait.sweeps.reports.submission import submit
from nait.sweeps.reports.submitted_rows import TABLE, read_rows, tables_of

from .fixtures import put


class Sweep:
    """A user's sweep: a store with runs, and a folder with a record of each."""

    def __init__(self, root: Path) -> None:
        self.folder, self.store, self.out = root / "sweep", Store(root / "store"), root / "board"
        self.count = 0

    def add(self, selector: str, seed: int, *, status: str = "done", **facts: Any) -> str:
        adapter = self.store.produce(
            "adapters", {"selector": selector, "seed": seed, "recipe": {}}, lambda part: _write(part)
        )
        also = {"adapter": adapter.address, **facts.pop("also", {})}
        run = put(self.store, selector, seed=seed, also=also, named=False, **facts)
        folder = self.folder / str(self.count)
        self.count += 1
        folder.mkdir(parents=True)
        links = {"run": run, **self.store.find("runs", run).manifest["links"]}  # type: ignore[union-attr]
        record = {"status": status, "links": links, "config": {"paths": {"store": str(self.store.root)}}}
        (folder / "run.json").write_text(json.dumps(record))
        return run

    def whole(self, *selectors: str) -> Sweep:
        for selector in (*selectors, "random"):
            for seed in range(3):
                self.add(selector, seed, share=0.3 if selector == "random" else 0.7)
        return self

    def submit(self, folder: Path | None = None) -> str:
        return submit([str(folder or self.folder)], store=None, out=str(self.out))

    def refused(self, folder: Path | None = None) -> str:
        with pytest.raises(NaitError) as error:
            self.submit(folder)
        assert not self.out.exists()
        return str(error.value)


def _write(part: Path) -> dict[str, Any]:
    (part / "weights").write_text("w")
    return {}


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


def test_a_whole_sweep_is_a_row_and_a_table(sweep: Sweep) -> None:
    text = sweep.whole("nait").submit()
    (row,) = read_rows(sweep.out)
    assert f"Row: {sweep.out / 'rows' / row['id']}.json" in text
    assert row["method"] == "nait"
    assert row["seeds"] == [0, 1, 2]
    assert {name: sorted(runs) for name, runs in row["runs"].items()} == {
        "nait": ["0", "1", "2"],
        "random": ["0", "1", "2"],
    }
    assert {one["task"] for one in row["results"]} >= {"nano_math", "nano_code"}
    for one in row["results"]:
        assert one["minus_random"]["value"] == pytest.approx(one["value"] - one["random"])
    table = (sweep.out / TABLE).read_text()
    assert "| nait" in table
    assert row["id"] in table


def test_each_method_of_a_sweep_has_a_row_and_random_has_none(sweep: Sweep) -> None:
    sweep.whole("nait", "rds").submit()
    assert sorted(row["method"] for row in read_rows(sweep.out)) == ["nait", "rds"]


def test_one_run_brings_its_other_seeds_and_random(sweep: Sweep) -> None:
    sweep.whole("nait", "rds").submit(sweep.folder / "1")
    (row,) = read_rows(sweep.out)
    assert (row["method"], row["seeds"]) == ("nait", [0, 1, 2])


def test_the_numbers_are_those_of_the_leaderboard(sweep: Sweep) -> None:
    from nait.sweeps.reports.leaderboard import measured
    from nait.sweeps.stored_runs.run_set import RunSet

    sweep.whole("nait").submit()
    (row,) = read_rows(sweep.out)
    (table,) = measured(RunSet.load(sweep.store))
    lines = {line.task: line for line in table.lines if line.method == "nait"}
    for one in row["results"]:
        line = lines[one["task"]]
        assert (one["value"], one["half_width"], one["items"]) == (line.value, line.half_width, line.n)
        assert line.difference
        assert one["minus_random"]["low"] == line.difference.low
        assert one["minus_random"]["significant"] == line.difference.significant


def test_no_other_method_of_a_sweep_changes_a_row_and_both_tables_say_what_other_lines_change(
    sweep: Sweep, tmp_path: Path
) -> None:
    from nait.sweeps.reports.leaderboard import Leaderboard

    sweep.whole("nait").submit(sweep.folder / "0")
    (alone,) = read_rows(sweep.out)
    for k, name in enumerate(("rds", "less")):
        for seed in range(3):
            sweep.add(name, seed, share=0.4 + 0.1 * seed * k)
    sweep.submit(sweep.folder / "0")
    assert read_rows(sweep.out) == [alone]
    assert "the same runs have other intervals and p there" in (sweep.out / TABLE).read_text()
    table = Leaderboard().report(sweep.store, None, tmp_path)
    assert "beside other lines, the same runs have other intervals and p" in table


def test_the_same_runs_give_the_same_file(sweep: Sweep) -> None:
    sweep.whole("nait").submit()
    (path,) = (sweep.out / "rows").iterdir()
    before = path.read_bytes(), (sweep.out / TABLE).read_bytes()
    sweep.submit(sweep.folder / "0")
    assert (path.read_bytes(), (sweep.out / TABLE).read_bytes()) == before


def test_all_that_is_missing_is_named_at_once(sweep: Sweep) -> None:
    for seed in (0, 2):
        sweep.add("nait", seed, share=0.7)
    sweep.add("random", 1, share=0.3)
    sweep.add("rds", 0, status="failed")
    text = sweep.refused()
    assert "nait: the runs of seed=1 are missing" in text
    assert "random: the runs of seed=0,2 are missing" in text
    assert "'failed', not done" in text


def test_a_method_without_random_is_refused(sweep: Sweep) -> None:
    for seed in range(3):
        sweep.add("nait", seed)
    assert "no run of random" in sweep.refused()


def test_random_of_another_recipe_does_not_count(sweep: Sweep) -> None:
    for seed in range(3):
        sweep.add("nait", seed)
        sweep.add("random", seed, **{"train.epochs": "9"})
    assert "no run of random" in sweep.refused()


def test_seeds_with_one_result_count_once(sweep: Sweep) -> None:
    run = sweep.add("nait", 0, share=0.7)
    links = sweep.store.find("runs", run).manifest["links"]  # type: ignore[union-attr]
    for seed in (1, 2):
        sweep.add("nait", seed, share=0.7, also={"evaluation": links["evaluation"]})
    for seed in range(3):
        sweep.add("random", seed, share=0.3)
    assert "nait: its 3 seeds have 1 different results; 3 are needed" in sweep.refused()


def test_the_untrained_model_is_not_random(sweep: Sweep) -> None:
    for seed in range(3):
        sweep.add("nait", seed)
        sweep.add("base", seed, trained=False)
    assert "no run of random" in sweep.refused()


def test_an_evaluation_of_the_first_items_is_refused(sweep: Sweep) -> None:
    for seed in range(3):
        for name in ("nait", "random"):
            sweep.add(name, seed, **{"eval.limit": 20})
    assert "eval.limit=20 leaves items out" in sweep.refused()


@pytest.mark.parametrize(
    ("spread", "said"),
    [(5, "eval.spread=5 leaves items out"), ({"nano_math": 9}, "eval.spread.nano_math=9 leaves items out")],
)
def test_a_subset_of_a_benchmark_is_refused(spread: Any, said: str, sweep: Sweep) -> None:
    for name in ("nait", "random"):
        for seed in range(3):
            sweep.add(name, seed, **{"eval.spread": spread})
    assert said in sweep.refused()


def test_tasks_without_a_result_are_refused(sweep: Sweep) -> None:
    for seed in range(3):
        for name in ("nait", "random"):
            sweep.add(name, seed, **{"eval.missing": ["mmlu_law"]})
    assert "tasks without a result: [mmlu_law]" in sweep.refused()


def test_a_run_without_an_evaluation_is_refused(sweep: Sweep) -> None:
    sweep.add("nait", 0, evaluated=False)
    assert "the run is not evaluated" in sweep.refused()


def test_a_benchmark_without_a_difference_to_random_is_refused(sweep: Sweep) -> None:
    result = Result("words", "perplexity", 20.0, 0.1, 2, higher_is_better=False)
    items = tuple(Item("words", k, "perplexity", "", -3.0, f"h{k}") for k in range(2))

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, Evaluation((result,), items))
        return {}

    for selector in ("nait", "random"):
        for seed in range(3):
            suite = {
                "requested": ["words"],
                "tasks": {"words": {"definition": "d", "num_fewshot": 0}},
                "seed": 1,
            }
            key = {"suite": suite, "model": "m0", "name": selector, "seed": seed}
            evaluation = sweep.store.produce("evaluations", key, write).address
            sweep.add(selector, seed, also={"evaluation": evaluation})
    assert "words: no difference of nait to random can be computed" in sweep.refused()


def test_random_alone_has_no_entry(sweep: Sweep) -> None:
    assert "no run of a method" in sweep.whole().refused()


@pytest.mark.parametrize("kind", ["adapters", "evaluations", "selections"])
def test_a_changed_file_is_found(sweep: Sweep, kind: str) -> None:
    sweep.whole("nait")
    file = next(
        path
        for path in sorted((sweep.store.root / kind).rglob("*"))
        if path.is_file() and path.suffix != ".json"
    )
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    assert "differs from its checksum" in sweep.refused()


def test_an_artifact_that_is_gone_is_named(sweep: Sweep) -> None:
    import shutil

    sweep.whole("nait")
    shutil.rmtree(next((sweep.store.root / "adapters").iterdir()))
    text = sweep.refused()
    assert "adapter of" in text
    assert "is not in the store" in text


def test_an_edited_row_is_refused(sweep: Sweep) -> None:
    sweep.whole("nait").submit()
    (path,) = (sweep.out / "rows").iterdir()
    row = json.loads(path.read_text())
    row["results"][0]["value"] = 0.99
    path.write_text(json.dumps(row))
    with pytest.raises(NaitError, match="rows are generated, not edited"):
        submit([], store=None, out=str(sweep.out))


def test_without_a_run_the_table_is_made_from_the_rows(sweep: Sweep) -> None:
    sweep.whole("nait").submit()
    table = sweep.out / TABLE
    before = table.read_text()
    table.write_text("typed")
    assert submit([], store=None, out=str(sweep.out)) == f"Table: {table}"
    assert table.read_text() == before


def test_a_row_holds_no_path(sweep: Sweep) -> None:
    command = "nait selector=nait data=file data.path=/home/me/pool.jsonl paths.store=/home/me/store seed=0"
    for seed in range(3):
        for name in ("nait", "random"):
            sweep.add(name, seed, facts={"command": command})
    sweep.submit()
    (row,) = read_rows(sweep.out)
    assert row["command"] == "nait selector=nait data=file data.path=... seed=0"
    assert "/home/" not in json.dumps(row)


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(NaitError, match="holds no run"):
        submit([str(tmp_path)], store=None, out=str(tmp_path / "board"))


def test_names_cannot_break_the_table() -> None:
    rows = [
        {
            "id": "0", "method": "a|<b>", "target": "t", "budget": "10%", "model": "m", "pool": "p|q", "recipe": "r",
            "evaluation": "e", "table": "x", "seeds": [0], "results": [], "seconds": {},
        }
    ]  # fmt: skip
    text = tables_of(rows)
    assert "<b>" not in text
    assert "a\\|&lt;b&gt;" in text


@pytest.mark.parametrize(
    "change",
    [
        {"links": [["evaluation", "x"]]}, {"links": ""}, {"links": {"evaluation": ["x"]}},
        {"config": {"paths": {"store": 3}}},
        {"status": ["done"]}, {"deep": json.loads("[" * 80 + "]" * 80)},
    ],
)  # fmt: skip
def test_a_record_of_another_form_is_refused(change: dict[str, Any], sweep: Sweep) -> None:
    sweep.whole("nait")
    path = sweep.folder / "0" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    assert "run.json" in sweep.refused()


ROW_FILES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a file without an end": lambda path: (path.touch(), os.truncate(path, 1 << 40)),
    "a deep value": lambda path: path.write_text('{"x": ' + "[" * 900 + "]" * 900 + "}"),
    "a long number": lambda path: path.write_text('{"x": ' + "9" * 400 + "}"),
}


@pytest.mark.parametrize("name", ROW_FILES)
def test_a_hostile_row_is_refused_by_name(name: str, sweep: Sweep) -> None:
    sweep.whole("nait").submit()
    ROW_FILES[name](sweep.out / "rows" / "0.json")
    with pytest.raises(NaitError, match=r"rows/0\.json"):
        submit([], store=None, out=str(sweep.out))


def test_a_rows_command_can_be_typed(sweep: Sweep) -> None:
    words = ["nait", "selector=nait", "label='v2 (a) #1'", "eval.tasks=[gsm8k, mmlu]", "seed=0"]
    for seed in range(3):
        for name in ("nait", "random"):
            sweep.add(name, seed, facts={"command": shlex.join(words)})
    sweep.submit()
    (row,) = read_rows(sweep.out)
    assert shlex.split(row["command"]) == words
