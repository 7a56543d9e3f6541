"""The command line, as a user meets it: whole jobs and sweeps on a tiny model, and their reruns."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from nait.store import Store
from nait.sweeps.grouping.collect import collect
from nait.sweeps.stored_runs.run_set import RunSet
from nait.tracking.wandb.pull import pull_runs
from tests.app.commands import Run, given, manifests, warm
from tests.older_stores import without_checksums
from tests.tracking import fakes
from tests.tracking.test_wandb import history, logs, of_kind, records


def test_select_alone_writes_the_users_rows_untouched(nait: Run, home: Path, tmp_path: Path) -> None:
    done = nait("stages=[select]", "tracking=wandb", "traits=topics")
    assert done.returncode == 0, done.stderr
    (selected,) = (tmp_path / "runs").rglob("selected.jsonl")
    assert str(selected.relative_to(tmp_path)) in done.stdout
    lines = selected.read_text().splitlines()
    assert len(lines) == 4
    assert set(lines) <= set((home / "pool.jsonl").read_text().splitlines())
    (manifest,) = manifests(tmp_path)
    assert manifest["status"] == "done"
    assert manifest["versions"]["torch"]
    assert manifest["scores"]["diagnostics"]["refs"]["sign_margin"]
    assert manifest["scores"]["length_correlation"]["refs"] is not None
    assert "traits" not in manifest["links"]
    (log,) = logs(selected.parent)
    assert "selection" in {one["type"] for one in of_kind(records(log), "artifact")}


def test_trained_rows_that_are_cut_are_counted_aloud(nait: Run, tmp_path: Path) -> None:
    cut = ["stages=[select,train,report]", "selector=full", "train.max_steps=1", "model.max_length=18"]
    for _ in range(2):  # trained, then from the store
        done = nait(*cut)
        assert done.returncode == 0, done.stderr
    (adapter,) = (tmp_path / "store" / "adapters").glob("*/manifest.json")
    facts = json.loads(adapter.read_text())
    assert 0 < facts["truncated"] <= facts["rows"]
    said = f"{facts['truncated']} of {facts['rows']} trained rows are longer than model.max_length=18"
    assert [any(said in one for one in run["warnings"]) for run in manifests(tmp_path)] == [True, True]
    for page in (tmp_path / "runs").rglob("report.md"):
        assert page.read_text().count(said) == 1
    (record,) = (tmp_path / "store" / "runs").glob("*/manifest.json")
    assert any(said in one for one in json.loads(record.read_text())["warnings"])
    whole = nait("stages=[select,train]", "selector=full", "train.max_steps=1")
    assert "trained rows are longer" not in whole.stderr


def test_selected_rows_that_are_cut_are_counted_in_log_record_and_report(nait: Run, tmp_path: Path) -> None:
    for _ in range(2):  # selected, then from the store
        done = nait("stages=[select,report]", "selector=random", "model.max_length=18")
        assert done.returncode == 0, done.stderr
        (*_, manifest) = manifests(tmp_path)
        chosen = manifest["selection"]
        assert 0 < chosen["truncated"] <= chosen["rows"] == 4
        said = f"{chosen['truncated']} of the 4 selected rows are longer than 18 tokens (max_length)"
        assert done.stderr.count(said) == 1
        counts = f"{chosen['answer_tokens']} answer tokens as read, {chosen['truncated']} row"
        assert counts in done.stderr
        assert sum(said in one for one in manifest["warnings"]) == 1
    (record,) = (tmp_path / "store" / "runs").glob("*/manifest.json")
    assert any(said in one for one in json.loads(record.read_text())["warnings"])
    for page in (tmp_path / "runs").rglob("report.md"):
        assert page.read_text().count(said) == 1
    done = nait("stages=[select]", "selector=random")
    assert "selected rows are longer" not in done.stderr
    assert " as read" not in done.stderr


def test_a_report_says_what_the_selections_of_a_pool_are_made_of(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=nait,random", "stages=[select,report]", "traits=topics")
    assert done.returncode == 0, done.stderr
    one, other = manifests(tmp_path)
    assert one["links"]["traits"] == other["links"]["traits"]
    (layers,) = (tmp_path / "runs").rglob("layers.parquet")
    assert json.loads((layers.parent / "run.json").read_text())["selector"] == "nait"
    (page,) = (tmp_path / "runs").rglob("report.md")
    assert "Composition of the selections" in page.read_text()
    assert {"composition.svg", "layers.svg"} <= {path.name for path in page.parent.iterdir()}


def test_doubtful_directions_point_to_the_contrast_in_log_manifest_and_report(
    nait: Run, home: Path, tmp_path: Path
) -> None:
    """Directions of this run's own reference rows, their margins made up."""
    assert nait("stages=[select]").returncode == 0
    (made,) = (path.parent for path in (tmp_path / "store" / "directions").glob("*/manifest.json"))
    usual = [word for word in given(home) if not word.startswith("target")]
    for name, margin in (("doubtful", 0.01), ("sure", 0.9)):
        folder = shutil.copytree(made, tmp_path / name)
        without_checksums(Path(folder))
        arrays = load_file(folder / "arrays.safetensors")
        save_file(
            {**arrays, "sign_margin": np.full_like(arrays["sign_margin"], margin)},
            folder / "arrays.safetensors",
        )
        before = len(manifests(tmp_path))
        done = nait(
            *usual, "target=directions", f"target.paths={{{name}: {folder}}}", "selector.layers=[1,2]",
            "stages=[select,report]", bare=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        manifest = manifests(tmp_path)[before]
        page = max(
            (tmp_path / "runs").rglob("report.md"), key=lambda path: path.stat().st_mtime_ns
        ).read_text()
        said = f"{name}: this reading of NAIT may select the wrong rows here. Compare it with selector=nait_contrast"
        for told in (done.stderr, "\n".join(manifest["warnings"]), page):
            assert (said in told) == (name == "doubtful")


def sent_by(job: Path, found: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The W&B log of a job among those of its sweep."""
    name = f"record-{json.loads((job / 'run.json').read_text())['links']['run']}"
    (log,) = [one for one in found if any(made["name"] == name for made in of_kind(one, "artifact"))]
    return log


def handed_over(job: Path, found: list[list[dict[str, Any]]]) -> fakes.Run:
    """A job's run as W&B would give it back, with the record in its log."""
    (sent,) = [one for one in of_kind(sent_by(job, found), "artifact") if one["type"] == "record"]
    files = {entry["path"]: Path(entry["local_path"]) for entry in sent["manifest"]["contents"]}
    return fakes.Run(job.name, [fakes.Record(sent["name"], files)])


def test_a_sweep_ends_with_one_leaderboard_and_a_rerun_computes_nothing(
    nait: Run, home: Path, tmp_path: Path
) -> None:
    usual = [word for word in given(home) if word != "tracking=files"]
    sweep = ("-m", *usual, "tracking=wandb", "selector=nait,random,full", "seed=0", "train.epochs=1")
    first = nait(*sweep, bare=True)
    assert first.returncode == 0, first.stderr
    for name in ("nait", "random", "full"):
        assert f"\n{name} " in first.stdout
    (board,) = (tmp_path / "runs").rglob("leaderboard.json")
    rows = json.loads(board.read_text())
    assert {row["selector"] for row in rows} == {"nait", "random", "full"}
    assert all(row["n"] == 6 and row["stderr"] is not None for row in rows)
    assert {row["selected_rows"] for row in rows if row["selector"] == "full"} == {40}
    for row in rows:  # each row can be followed back
        for kind in ("selection", "adapter", "evaluation", "run"):
            assert (tmp_path / "store" / f"{kind}s" / row[kind] / "manifest.json").is_file()
    assert json.loads((board.parents[1] / "summary.json").read_text())["jobs"] == 3
    elsewhere = Store(tmp_path / "elsewhere")  # another machine's, made of the jobs' records alone
    jobs = [path.parent for path in board.parents[1].glob("*/run.json")]
    tracked = [records(log) for log in logs(board.parents[1])]
    if len(tracked) < 4:
        pytest.skip(
            "W&B's process wrote no log of one run, as it may for the shortest: its logs are not compared"
        )
    assert len(tracked) == 4, "the jobs' runs and the leaderboard's share one folder"
    assert pull_runs([handed_over(job, tracked) for job in jobs], elsewhere).refused == []
    assert collect(RunSet.load(elsewhere)) == collect(RunSet.load(Store(tmp_path / "store")))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("manifest.json")}
    again = nait(*sweep, bare=True)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "store").rglob("manifest.json")} == before
    assert "Opening" not in again.stderr
    rerun = next(path for path in (tmp_path / "runs").rglob("leaderboard.json") if path != board).parents[1]
    renewed = [records(log) for log in logs(rerun)]
    ids = [{run["run_id"] for log in found for run in of_kind(log, "run")} for found in (tracked, renewed)]
    assert ids[0] == ids[1]
    for job in jobs:
        second = rerun / job.name
        check_tracked(job, second, sent_by(job, tracked), sent_by(second, renewed), rows)
        check_lineage(sent_by(job, tracked))


def check_lineage(found: list[dict[str, Any]]) -> None:
    """Inputs are used, outputs are logged, each with its aliases; the config names no class of ours."""
    made = {one["type"]: one for one in of_kind(found, "artifact")}
    assert {kind for kind, one in made.items() if one.get("use_after_commit")} == {"pool", "references"}
    assert {"selection", "adapter", "evaluation", "record"} <= made.keys()
    assert {"latest", "seed-0"} < set(made["selection"]["aliases"])
    assert "_target_" not in json.dumps(of_kind(found, "run")[0]["config"])


def check_tracked(
    first: Path, again: Path, one: list[dict[str, Any]], two: list[dict[str, Any]], rows: list[dict[str, Any]]
) -> None:
    """A rerun has the first run's id, curve, table and costs in W&B; the costs are the leaderboard's."""
    ours, theirs = (of_kind(found, "run")[0] for found in (one, two))
    assert (ours["run_id"], ours["job_type"]) == (theirs["run_id"], "evaluate")
    for found in (one, two):
        assert len(history(found, "train/loss")) >= 1
        assert history(found, "evaluation.nrows") == [1]
        assert history(found, "examples/top.nrows")
    assert history(one, "train/loss") == history(two, "train/loss")
    mine, summary = (json.loads((job / "summary.json").read_text()) for job in (first, again))
    (row,) = [
        row for row in rows if row["run"] == json.loads((first / "run.json").read_text())["links"]["run"]
    ]
    for name in ("select", "train", "evaluate"):
        assert mine[f"seconds/{name}"] == summary[f"seconds/{name}"] == row[f"seconds_{name}"]
    assert mine["device_hours"] == summary["device_hours"] == row["device_hours"]
    for kind, field in (("eval", "value"), ("stderr", "stderr"), ("items", "n")):
        assert summary[f"{kind}/toy_sums/acc"] == row[field]
    assert (summary["selected/rows"], summary["warnings"]) == (
        row["selected_rows"],
        len(mine["warning_texts"]),
    )


def test_methods_named_in_beside_share_one_pass(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=random,perplexity,nait", "beside=[nait,perplexity]", "stages=[select]")
    assert done.returncode == 0, done.stderr
    made = [json.loads(path.read_text()) for path in (tmp_path / "store" / "passes").glob("*/manifest.json")]
    (over_the_pool,) = [one for one in made if one["rows"] == 40]
    assert {one["signal"] for one in over_the_pool["signals"]} == {"projections", "losses"}
    assert sorted(one["signals"] for one in over_the_pool["meters"]) == [[0], [1]]
    assert 0 < sum(one["seconds"] for one in over_the_pool["meters"]) < over_the_pool["seconds"]
    used = []
    for path in (tmp_path / "store" / "scores").glob("*/manifest.json"):
        made = json.loads(path.read_text())
        used += [signals for _, name, *signals in made["made_of"] if name == over_the_pool["address"]]
    assert sorted(used) == [[[0]], [[1]]], "each method is charged for its own measurements"


def test_the_base_model_is_evaluated_with_train_none(nait: Run) -> None:
    done = nait("train=none")
    assert done.returncode == 0, done.stderr
    assert "base (not trained)" in done.stdout


def test_the_base_model_is_not_trained_by_a_recipe_that_a_sweep_names(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "selector=base,random", "train=full", "train.epochs=1")
    assert done.returncode == 0, done.stderr
    trained = {manifest["selector"]: manifest["trained"] for manifest in manifests(tmp_path)}
    assert trained == {"base": False, "random": True}
    assert "base (not trained)" in done.stdout
    alone = nait("selector=base", "train=lora")
    assert "selector=base evaluates the unchanged model: train=lora is ignored." in alone.stderr


def test_directions_are_reused_without_the_reference_rows(nait: Run, home: Path, tmp_path: Path) -> None:
    assert nait("stages=[select]").returncode == 0
    first = next((tmp_path / "runs").rglob("selected.jsonl")).read_text()
    (manifest,) = (tmp_path / "store" / "directions").glob("*/manifest.json")
    kept = tmp_path / "kept"
    words = ["publish", manifest.parent.name[:8], str(kept), "--store", str(tmp_path / "store")]
    warm().run(words, cwd=tmp_path, module="nait.neurons").check_returncode()
    usual = [argument for argument in given(home) if not argument.startswith("target")]
    other = [
        "stages=[select]",
        "target=directions",
        f"target.paths={{refs: {kept}}}",
        "paths.store=fresh",
        "paths.runs=other",
    ]
    done = nait(*usual, *other, bare=True)
    assert done.returncode == 0, done.stderr
    assert next((tmp_path / "other").rglob("selected.jsonl")).read_text() == first
    refused = nait(*usual, *other, "selector.site=mlp", bare=True)
    assert refused.returncode == 2
    assert "computed with site=residual, this run has mlp" in refused.stderr


def test_a_failing_job_does_not_stop_the_others(nait: Run, tmp_path: Path) -> None:
    done = nait("-m", "budget.ratio=3,0.2", "stages=[select]")
    assert done.returncode == 2
    assert [manifest["status"] for manifest in manifests(tmp_path)] == ["done"]


def test_jobs_run_side_by_side_and_are_shown_as_they_end(process: Run, tmp_path: Path) -> None:
    sweep = [
        "-m",
        "selector=random,full",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=2",
        "stages=[select]",
    ]
    done = process(*sweep)
    assert done.returncode == 0, done.stderr
    assert [manifest["status"] for manifest in manifests(tmp_path)] == ["done", "done"]
    assert "[2/2]" in done.stderr


def test_help_and_version_are_quick_and_need_no_heavy_import() -> None:
    call = "sys.argv=['nait','--help']; from nait.__main__ import main; main()"
    code = f"import sys; {call}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
    assert "nait KEY=VALUE" in done.stdout


@pytest.mark.parametrize("word", ["label=nait_contrast", "selector.name=NAIT_contrast"])
def test_the_name_of_another_selector_names_no_method(word: str, nait: Run, tmp_path: Path) -> None:
    done = nait("selector=length", word, "stages=[select]")
    assert done.returncode == 2
    assert (
        f"{word.partition('=')[0]}: '{word.partition('=')[2]}' is the name of a selector other than length"
        in (done.stderr)
    )
    assert not (tmp_path / "store").exists()
