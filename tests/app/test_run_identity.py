"""A job's identity: reruns and other speeds keep it, everything that decides its record changes it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from nait.runs import execution
from nait.runs.records.run_identity import kind_of, run_identity
from nait.runs.records.run_record import RunRecord
from nait.store import DamagedError
from tests.app.commands import Run, make_home, manifests
from tests.app.test_assembly import assembled

STAGES = ("select", "train", "evaluate", "report")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(autouse=True, scope="module")
def _hydra() -> Iterator[None]:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield
    GlobalHydra.instance().clear()


def identity(home: Path, folder: Path, *words: str) -> str:
    return run_identity(assembled(home, folder, *words), STAGES)


def test_a_rerun_at_another_speed_in_another_group_is_the_same_run(home: Path, tmp_path: Path) -> None:
    first = identity(home, tmp_path)
    assert len(first) == 32
    for words in (["engine.batch_tokens=64"], ["eval.batch_size=1", "train.save_seconds=1"], ["group=other"]):
        assert identity(home, tmp_path / "elsewhere", *words) == first, words


def test_what_decides_a_record_decides_the_run(home: Path, tmp_path: Path) -> None:
    changes = ("seed=1", "budget.ratio=0.2", "selector.layers=[1]", "order=lowest", "train.epochs=7", "eval.limit=3",
               "cost=rented cost.price_per_device_hour=2", "model.max_length=64", "label=mine")  # fmt: skip
    found = [identity(home, tmp_path, *words.split()) for words in ("", *changes)]
    assert len(set(found)) == len(found)


def test_other_rows_are_another_run(home: Path, tmp_path: Path) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text("".join((home / "pool.jsonl").read_text().splitlines(keepends=True)[:-1]))
    assert identity(home, tmp_path) != identity(home, tmp_path, f"data.path={pool}")


def test_the_kind_is_the_last_stage_with_a_result(home: Path, tmp_path: Path) -> None:
    job = assembled(home, tmp_path)
    kinds = [kind_of(job, stages) for stages in (["select", "report"], ["select", "train"], ["evaluate"])]
    assert kinds == ["select", "train", "evaluate"]


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("order=shuffled", "random"),
        ("order=highest", "nait"),
        ("order=shuffled label=mine", "mine"),
        ("selector=full order=shuffled", "full"),
    ],
)
def test_a_tracker_has_the_name_that_tables_have(home: Path, tmp_path: Path, words: str, name: str) -> None:
    job = assembled(home, tmp_path, *words.split())
    assert job.tracked_labels["selector"] == name
    assert job.tracked_labels["target"] == job.labels["target"]


def test_a_tracked_control_does_not_pay_for_the_scores_that_it_ignores(nait: Run, tmp_path: Path) -> None:
    done = nait("selector=nait", "order=shuffled", "stages=[select]", "cost.price_per_device_hour=2")
    assert done.returncode == 0, done.stderr
    (summary,) = (json.loads(path.read_text()) for path in tmp_path.rglob("runs/*/*/summary.json"))
    assert (summary["seconds/select"], summary["device_hours"], summary["money"]) == (0.0, 0.0, 0.0)
    (record,) = manifests(tmp_path)
    assert record["seconds"]["select"] > 0


def test_a_run_that_repeats_its_stages_logs_each_step_once(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job = assembled(home, tmp_path / "run", "selector=random", "train.max_steps=3")
    damaged: list[Path] = []

    def evaluate(*given: Any, **options: Any) -> Any:
        if not damaged:  # the selection is damaged after the training
            (made,) = job.store.artifacts("selections")
            damaged.append(made.path)
            raise DamagedError("is damaged", path=made.path / "scores.parquet", artifact=made.path)
        return stage(*given, **options)

    stage = execution.evaluate
    monkeypatch.setattr(execution, "evaluate", evaluate)
    execution.Execution(job, ("select", "train", "evaluate"), RunRecord([])).run(last=False)
    assert damaged
    lines = [json.loads(line) for line in (job.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["phase"] == "train"] == [1, 2, 3]
