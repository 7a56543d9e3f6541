"""`plan=true` on the command line: it says what a job would do, does nothing, and the job says how it compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nait.cli.sweep import compared
from tests.app.commands import Run, manifests

RESULTS = ("scores", "selections", "signals", "passes", "adapters", "evaluations", "runs", "encodings")


def kinds(folder: Path) -> set[str]:
    return {path.name for path in (folder / "store").iterdir()}


def plans(folder: Path) -> list[Path]:
    return sorted((folder / "runs").rglob("plan.json"))


def test_a_plan_leaves_only_its_words_and_the_run_compares_itself_with_it(nait: Run, tmp_path: Path) -> None:
    planned = nait("plan=true", "train.epochs=1")
    assert planned.returncode == 0, planned.stderr
    for word in (
        "select",
        "to be made",
        "of 6 items",
        "Tokens:",
        "Passes over the pool: projections",
        "Device-hours",
    ):
        assert word in planned.stdout
    assert not kinds(tmp_path) & set(RESULTS)
    assert manifests(tmp_path) == []
    (file,) = plans(tmp_path)
    record = json.loads(file.read_text())
    assert record["rows"] == 40
    assert record["targets"] == {"refs": 8}

    done = nait("train.epochs=1")
    assert done.returncode == 0, done.stderr
    (manifest,) = manifests(tmp_path)
    plan = manifest["plan"]
    assert set(plan["predicted"]) == set(plan["seconds"]) == {"select", "train", "evaluate"}
    assert plan["predicted"]["select"] == pytest.approx(record["seconds"]["select"], abs=1e-3)
    assert plan["predicted"]["evaluate"] == pytest.approx(record["seconds"]["evaluate"], abs=1e-3)
    assert all(seconds > 0 for seconds in plan["seconds"].values())

    again = nait("plan=true", "train.epochs=1")
    assert again.returncode == 0, again.stderr
    assert "Opening" not in again.stderr
    record = json.loads(plans(tmp_path)[-1].read_text())
    assert record["seconds"] == {"select": 0.0, "train": 0.0, "evaluate": 0.0}
    assert record["eval_items"] == record["detectable"][0]["items"] == 6
    assert "One seed finds no difference" in again.stdout
    assert "Smallest true difference found with power 0.8, with 3 seeds" in again.stdout
    assert all(phase["stored"] for phase in record["phases"])


def test_a_sweep_is_planned_job_by_job_and_in_all(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=nait,random", "plan=true", "stages=[select]")
    assert done.returncode == 0, done.stderr
    assert len(plans(tmp_path)) == 2
    assert done.stdout.count("Device-hours") == 2
    assert "2 jobs: " in done.stdout
    assert not kinds(tmp_path) & set(RESULTS)


def test_an_unplanned_run_compares_its_cost_with_no_plan(nait: Run, tmp_path: Path) -> None:
    assert nait("stages=[select]", "selector=random").returncode == 0
    (manifest,) = manifests(tmp_path)
    assert manifest["plan"] is None


@pytest.mark.parametrize(
    ("swept", "count"),
    [
        ({"selector": ["nait", "random"], "seed": ["0", "1"]}, 1),
        ({"selector": ["nait", "rds", "random"], "budget.ratio": ["0.1", "0.2"]}, 4),
        (
            {"selector": ["nait", "random"], "model.path": ["A", "B"], "contamination": ["check", "exclude"]},
            1,
        ),
        ({"selector": ["nait", "random"], "train.epochs": ["1", "2", "3"], "template": ["a", "b"]}, 1),
        ({"order": ["highest", "lowest", "shuffled"], "budget.ratio": ["0.1", "0.2"]}, 4),
        ({"selector.layers": ["[1]", "[2]"], "target.capabilities": ["a", "b"]}, 4),
        ({"selector": ["nait", "full", "base", "random"], "target.capabilities": ["a", "b", "c"]}, 5),
        ({"selector": ["nait", "full", "base", "random"], "budget.ratio": ["0.1", "0.2"]}, 2),
        ({}, 1),
    ],
)
def test_a_sweep_compares_the_lines_of_one_table_with_its_control(
    swept: dict[str, list[str]], count: int
) -> None:
    assert compared(swept) == count


def test_a_sweep_reports_its_detectable_difference_before_it_starts(nait: Run) -> None:
    embedded = ("-m", "seed=0,1,2", "eval.tasks=[nano_math,nano_code]", "eval.limit=2", "train=none")
    planned = nait(*embedded, "plan=true", "stages=[evaluate]")
    assert planned.returncode == 0, planned.stderr
    last = planned.stdout.splitlines()[-1]
    assert last.startswith("3 jobs: ")
    assert "with 3 seeds" in last
    assert "on all items (4)" in last
    begun = nait(*embedded, "stages=[evaluate]")
    assert begun.returncode == 0, begun.stderr
    said = "Smallest true difference found with power 0.8 after Holm's correction for {} comparisons, with 3 seeds"
    assert begun.stderr.count(said.format(2)) == 1  # one line on two benchmarks
    several = nait(*embedded, "selector=random,length,rds", "plan=true", "stages=[evaluate]")
    assert said.format(4) in several.stdout, several.stderr  # two methods against random


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["plan=maybe"], ["plan", "is not true or false"]),
        (["plan=true", "target.limit=1"], ["target 'refs'", "at least two different reference rows"]),
        (["plan=true", "eval.tasks=[toy_sumz]"], ["toy_sumz", "toy_sums"]),
        (["plan=true", "data.path=nowhere.jsonl"], ["nowhere.jsonl", "no such file"]),
    ],
    ids=lambda value: str(value[0]),
)
def test_a_plan_refuses_what_the_job_would(nait: Run, arguments: list[str], words: list[str]) -> None:
    done = nait(*arguments)
    assert done.returncode == 2, done.stderr
    assert all(word in done.stderr for word in words)
    assert "Traceback" not in done.stderr
    assert "Opening" not in done.stderr
