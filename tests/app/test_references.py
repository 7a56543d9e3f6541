"""The references on the command line: the base model selects nothing, the full pool is whole; draws heed no score."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.store import Store
from nait.sweeps.reports.leaderboard import measured
from nait.sweeps.stored_runs.run_set import RunSet
from tests.app.commands import given, make_home, manifests, warm

Run = Callable[..., subprocess.CompletedProcess[str]]
LABELS = (
    "truth=columns",
    "truth.family=kind",
    "truth.skill=null",
    "truth.clean=null",
    "truth.lookalike=null",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder whose rows carry a label."""
    folder = make_home(tmp_path_factory.mktemp("home"))
    rows = [json.loads(line) for line in (folder / "pool.jsonl").read_text().splitlines()]
    labelled = [{**row, "kind": "refs" if row["mine"] % 2 else "other"} for row in rows]
    (folder / "pool.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    return folder


@pytest.fixture
def nait(home: Path, tmp_path: Path) -> Run:
    return lambda *arguments: warm().run([*given(home), *LABELS, *arguments], cwd=tmp_path)


def told(folder: Path) -> dict[str, Any]:
    (manifest,) = manifests(folder)
    return manifest


def test_the_base_model_is_evaluated_and_nothing_is_selected_for_it(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=base")
    assert done.returncode == 0, done.stderr
    assert "base: no rows are selected; the model is evaluated unchanged." in done.stderr
    assert "selected." not in done.stderr.replace("no row is selected", "")
    assert "By the labels" not in done.stderr
    assert "Selected" not in done.stdout
    manifest = told(tmp_path)
    assert manifest["budget"] is None
    assert manifest["truth"] == {}
    assert "scores" not in manifest
    assert {"scores", "selection", "adapter"}.isdisjoint(manifest["links"])
    assert "select" not in manifest["seconds"]
    assert not [*(tmp_path / "runs").rglob("selected.jsonl")]
    (table,) = (tmp_path / "runs").rglob("leaderboard.csv")
    row = next(csv.DictReader(table.open()))
    empty = (
        "budget",
        "seed",
        "selected_rows",
        "answer_tokens",
        "seconds_select",
        "seconds_train",
        "selection",
    )
    assert [row[name] for name in empty] == [""] * len(empty)


def test_the_base_model_alone_selects_and_records_nothing(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=base", "stages=[select,report]")
    assert done.returncode == 0, done.stderr
    assert "run" not in told(tmp_path)["links"]


def test_a_recipe_that_is_named_for_the_base_model_selects_and_trains_nothing(
    nait: Run, tmp_path: Path
) -> None:
    done = nait("selector=base", "train=lora", "stages=[select,train]")
    assert done.returncode == 0, done.stderr
    assert {"selection", "adapter"}.isdisjoint(told(tmp_path)["links"])


def test_a_plan_of_the_base_model_selects_nothing(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=base", "plan=true")
    assert done.returncode == 0, done.stderr
    (plan,) = (tmp_path / "runs").rglob("plan.json")
    assert [phase["name"] for phase in json.loads(plan.read_text())["phases"]] == ["evaluate"]


def test_the_full_pool_is_all_rows_in_every_record(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=full", "stages=[select,report]", "budget.ratio=0.1")
    assert done.returncode == 0, done.stderr
    assert told(tmp_path)["budget"] == "100%"
    (one,) = measured(RunSet.load(Store(tmp_path / "store")))
    (line,) = one.lines
    assert (line.budget, line.selected_rows) == ("100%", 40)


def test_a_random_selection_has_no_correlation_with_its_scores(nait: Run, tmp_path: Path) -> None:
    chosen = ("selector=length", "stages=[select,report]", "target.name=refs")
    assert nait(*chosen).returncode == 0
    by_score = told(tmp_path)
    assert any("the score follows length" in said for said in by_score["warnings"])
    done = nait(*chosen, "order=shuffled", "label=mine")
    assert done.returncode == 0, done.stderr
    assert "follows length" not in done.stderr
    assert "Spearman's rho" not in done.stderr
    (drawn,) = (one for one in manifests(tmp_path) if one["selector"] == "mine")
    assert not any("follows length" in said for said in drawn["warnings"])
    assert "precision" in drawn["truth"]
    rows = [row for one in measured(RunSet.load(Store(tmp_path / "store"))) for row in one.rows]
    checks = {row.method: row.checks for row in rows}
    assert abs(checks["length"]["rho"]) > 0.5
    assert checks["mine"] == {}
    report = next(path for path in (tmp_path / "runs").rglob("leaderboard.md") if "mine" in path.read_text())
    assert "rho" not in report.read_text().split("mine")[0].splitlines()[-3]
