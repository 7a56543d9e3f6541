"""Contamination on the command line: names of one kind never index another; what was not looked at is said."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.cli.help import replace_null
from tests.app.commands import TASK, given, make_home, manifests, warm

Run = Callable[..., subprocess.CompletedProcess[str]]
ASKED = [f"How many grey geese fly over lake number {i} on day {i * i}?" for i in range(6)]
TASK_ROWS = """\
import datasets


def documents(**_):
    rows = [{"question": f"How many grey geese fly over lake number {i} on day {i * i}?", "gold": i % 2}
            for i in range(6)]
    return {"test": datasets.Dataset.from_list(rows)}
"""
CLEAN = [f"What is the sum of {i} and of the number {i + 7}?" for i in range(8)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder whose task has questions of ten words."""
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "tasks" / "toy.yaml").write_text(TASK)
    (folder / "tasks" / "rows.py").write_text(TASK_ROWS)
    return folder


@pytest.fixture
def nait(home: Path, tmp_path: Path) -> Run:
    return lambda *arguments: warm().run([*given(home), "selector=length", *arguments], cwd=tmp_path)


def write(path: Path, asked: list[str]) -> Path:
    rows = [{"instruction": text, "output": " geese" * (1 + i)} for i, text in enumerate(asked)]
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def told(folder: Path) -> dict[str, Any]:
    (manifest,) = manifests(folder)
    return manifest


def test_a_target_named_like_a_task_is_refused_for_its_test_items(nait: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "refs.jsonl", [ASKED[2], *CLEAN])
    done = nait(f"target.path={file}", "target.name=toy_sums")
    assert done.returncode == 2
    assert "target 'toy_sums'" in done.stderr
    assert "1 of its 9 rows hold evaluation items" in done.stderr


def test_a_target_named_like_a_task_hides_no_hit_of_the_pool(nait: Run, tmp_path: Path) -> None:
    pool, refs = write(tmp_path / "p.jsonl", [*ASKED, *CLEAN]), write(tmp_path / "toy_sums.jsonl", CLEAN[:2])
    done = nait(f"data.path={pool}", f"target.path={refs}", "contamination=exclude", "train=none",
                "stages=[select,evaluate]")  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = " ".join(told(tmp_path)["warnings"])
    assert "6 row(s) of pool p share text with task toy_sums" in said
    assert "2 row(s) of pool p share text with target toy_sums" in said
    assert told(tmp_path)["rows"]["pool"]["rows"] == 8


def test_a_pool_and_a_target_of_one_stem_keep_their_own_hits_and_counts(nait: Run, tmp_path: Path) -> None:
    pool, refs = write(tmp_path / "a" / "x.jsonl", ASKED), write(tmp_path / "b" / "x.jsonl", CLEAN)
    done = nait(f"data.path={pool}", f"target.path={refs}", "stages=[select,evaluate]", "train=none")
    assert done.returncode == 0, done.stderr
    manifest = told(tmp_path)
    assert "6 row(s) of pool x share text with task toy_sums" in " ".join(manifest["warnings"])
    assert manifest["rows"]["pool"]["rows"] == 6
    assert manifest["rows"]["targets"]["x"]["rows"] == 8
    assert manifest["contamination"]["pool"]["rows"] == 6
    assert manifest["contamination"]["targets"]["x"]["rows"] == 8


def test_items_beyond_the_limit_are_test_items_too(nait: Run, tmp_path: Path) -> None:
    file = write(tmp_path / "refs.jsonl", [ASKED[5], *CLEAN])
    done = nait(f"target.path={file}", "eval.limit=2")
    assert done.returncode == 2
    assert "item 5 of task toy_sums, left out by eval.limit or eval.spread" in done.stderr


def test_each_hit_is_marked_as_evaluated_or_not(nait: Run, tmp_path: Path) -> None:
    pool = write(tmp_path / "p.jsonl", [*ASKED, *CLEAN])
    done = nait(f"data.path={pool}", "eval.limit=2", "train=none")
    assert done.returncode == 0, done.stderr
    manifest = told(tmp_path)
    (said,) = (one for one in manifest["warnings"] if "task toy_sums" in one)
    assert (
        "Under eval.limit=2, 2 of these 6 items are evaluated; the others are also test items." in done.stderr
    )
    assert "6 row(s) of pool p share text with task toy_sums" in said
    assert "2 share text with an item that is evaluated, 4 with items left out by eval.limit" in said
    looked = manifest["contamination"]
    assert looked["tasks"]["toy_sums"] == {"rows": 6, "too_short": 0, "evaluated": 2}
    assert (looked["hits_in_tasks"], looked["hits_in_evaluated"]) == (6, 2)


def test_without_an_evaluation_no_pool_is_reported_as_clean(nait: Run, tmp_path: Path) -> None:
    done = nait("stages=[select,report]", "contamination.exclude=true")
    assert done.returncode == 0, done.stderr
    manifest = told(tmp_path)
    assert any("exclude=true leaves nothing out" in one for one in manifest["warnings"])
    assert manifest["contamination"]["tasks"] == {}
    for path in (tmp_path / "runs").rglob("report.md"):
        text = path.read_text()
        assert "The evaluation was not searched" in text
        assert "No text of" not in text


@pytest.mark.parametrize("null", ["contamination=null", "contamination=none"])
def test_a_disabled_contamination_check_is_reported_as_off(nait: Run, tmp_path: Path, null: str) -> None:
    done = nait("stages=[select,report]", null)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    manifest = told(tmp_path)
    assert manifest["contamination"]["checked"] is False
    assert "Contamination was not checked: contamination=null." in manifest["warnings"]
    for path in (tmp_path / "runs").rglob("report.md"):
        assert "Contamination was not checked in 1 of 1 runs" in path.read_text()


def test_null_is_none_where_a_group_has_such_an_option() -> None:
    read = replace_null(["contamination=null", "-m", "traits=null,topics", "truth=null", "seed=null"])
    assert read == ["contamination=none", "-m", "traits=none,topics", "truth=none", "seed=null"]


def test_null_for_a_group_without_such_an_option_is_explained(nait: Run) -> None:
    done = nait("data=null")
    assert done.returncode == 2
    assert "data: there is no option 'null'. Remove it, or choose alpaca, alpaca_cleaned," in done.stderr


@pytest.mark.parametrize("name", ["a+b", "a/b"])
def test_a_target_whose_name_reads_as_two_is_refused(nait: Run, name: str) -> None:
    done = nait(f"target.name={name}", "stages=[select]")
    assert done.returncode == 2
    assert f"a target cannot have the name '{name}'" in done.stderr


def test_duplicates_are_counted_in_the_manifest_and_one_of_each_is_selected(
    nait: Run, tmp_path: Path
) -> None:
    rows = [
        {"id": f"r{i}", "instruction": text, "output": " geese" * (1 + i % 8)}
        for i, text in enumerate(CLEAN * 2)
    ]
    pool = tmp_path / "p.jsonl"
    pool.write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = nait(f"data.path={pool}", "stages=[select]", "budget.ratio=1", f"target.path={pool}")
    assert done.returncode == 0, done.stderr
    manifest = told(tmp_path)
    assert manifest["rows"]["pool"]["duplicates"] == 8
    assert manifest["rows"]["pool"]["skipped"] == {"identical to another row": 8}
    assert manifest["rows"]["targets"]["p"]["duplicates"] == 8
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    assert len({json.loads(line)["instruction"] for line in selected.read_text().splitlines()}) == 8
    assert len(selected.read_text().splitlines()) == 8
    assert "Target p: 8 rows are identical to another" in " ".join(manifest["warnings"])


def test_a_budget_of_updates_counts_the_rows_that_are_left_as_the_budget_of_rows_does(
    nait: Run, home: Path, tmp_path: Path
) -> None:
    """Of 14 rows, 6 are in the evaluation: half of the pool is 4 rows, and so many updates of one row."""
    pool, refs = (
        write(tmp_path / "p.jsonl", [*ASKED, *CLEAN]),
        write(tmp_path / "r.jsonl", ["What is a goose?"]),
    )
    words = [
        f"data.path={pool}", f"target.path={refs}", "contamination=exclude", "budget.ratio=0.5", "train.epochs=1",
        "train.max_steps=null", "train.batch_size=1", "train.budget_share=0.5", "stages=[select,train,evaluate]",
    ]  # fmt: skip
    recipes = {}
    for budget in ("epochs", "steps"):
        done = nait(*words, f"train.budget={budget}", f"hydra.run.dir={tmp_path / budget}")
        assert done.returncode == 0, done.stderr
        record = json.loads((tmp_path / budget / "run.json").read_text())
        made = Path(record["config"]["paths"]["store"]) / "adapters" / record["links"]["adapter"]
        recipes[budget] = json.loads((tmp_path / made / "manifest.json").read_text())
    assert {name: one["steps"] for name, one in recipes.items()} == {"epochs": 4, "steps": 4}
    assert recipes["steps"]["key"]["recipe"]["max_steps"] == 4
