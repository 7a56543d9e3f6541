"""Jobs do not change: a dry run plans the pool that the run would use, from a job that it leaves as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra

from nait.core.estimates.costs import Cost
from nait.runs.dry_run import UNKNOWN_CONTAMINATION, _device_notes, preview
from nait.runs.job import Job
from nait.runs.records.phases import PhaseRecord, phase_energy, phase_seconds
from nait.runs.records.plan_accuracy import plan_accuracy
from nait.stages.checks.detect_contamination import check_contamination
from tests.app.commands import make_home
from tests.app.test_assembly import assembled
from tests.app.test_contamination import ASKED, CLEAN, TASK_ROWS, write


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    """A job whose pool holds six evaluation items next to eight other rows, and leaves them out."""
    home = make_home(tmp_path)
    (home / "tasks" / "rows.py").write_text(TASK_ROWS)
    pool = write(tmp_path / "mixed.jsonl", [*ASKED, *CLEAN])
    words = ["selector=length", "contamination=exclude", "train=none", "stages=[select,evaluate]"]
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        yield assembled(home, tmp_path, f"data.path={pool}", *words, selector="length", train="none")
    GlobalHydra.instance().clear()


def test_a_dry_run_leaves_the_job_as_it_is(job: Job) -> None:
    before = {field.name: getattr(job, field.name) for field in fields(job)}
    stages = ["select", "evaluate"]
    preview(job, stages)
    unknown = json.loads((job.folder / "plan.json").read_text())
    assert unknown["rows"] == len(job.pool) == 14
    assert UNKNOWN_CONTAMINATION in unknown["notes"]
    parts = job.parts
    check_contamination(
        job.pool, job.targets, evaluator=parts.evaluator, rule=parts.contamination, store=job.store
    )
    preview(job, stages)
    known = json.loads((job.folder / "plan.json").read_text())
    assert known["rows"] == 8
    assert UNKNOWN_CONTAMINATION not in known["notes"]
    for name, value in before.items():
        assert getattr(job, name) is value


@pytest.mark.parametrize(("processes", "told"), [("1", False), ("2", True)])
def test_a_plan_under_a_launcher_says_that_it_is_for_one_process(
    job: Job, monkeypatch: pytest.MonkeyPatch, processes: str, told: bool
) -> None:
    monkeypatch.setenv("WORLD_SIZE", processes)
    preview(job, ["select"])
    notes = json.loads((job.folder / "plan.json").read_text())["notes"]
    assert any("one process, but this command has 2" in note for note in notes) is told


@pytest.mark.parametrize(
    ("devices", "spread", "told"), [(None, None, False), (4, None, True), (4, "auto", False)]
)
def test_a_plan_that_multiplies_one_process_by_several_devices_says_so(
    job: Job, devices: int | None, spread: str | None, told: bool
) -> None:
    model = SimpleNamespace(device_map=spread)
    parts = replace(job.parts, cost=Cost(devices=devices), model=model)  # type: ignore[arg-type]
    (*notes,) = _device_notes(replace(job, parts=parts))
    assert any("cost.devices=4" in note and "one process" in note for note in notes) is told


def test_a_job_and_its_parts_are_frozen(job: Job) -> None:
    with pytest.raises(FrozenInstanceError):
        job.pool = job.pool  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        job.parts.evaluator = None  # type: ignore[misc]
    assert replace(job, targets=()).pool is job.pool


def test_a_phase_costs_what_its_result_cost_though_this_run_found_it_in_the_store(tmp_path: Path) -> None:
    spent = PhaseRecord(0.2, 0.2, 0.01)
    found = spent.with_cost(90.1234, 5.0, fresh=False)
    assert (found.seconds, found.elapsed, found.energy_wh, found.fresh) == (90.1234, 0.2, 5.0, False)
    phases = {"select": found, "report": spent}
    assert phase_seconds(phases) == {"select": 90.123, "report": 0.2}
    assert phase_energy(phases) == {"select": 5.0, "report": 0.01}
    assert list(phase_seconds(phases)) == ["select", "report"]
    plan = tmp_path / "plan.json"
    assert plan_accuracy(plan, phases) is None
    plan.write_text(json.dumps({"phases": [{"name": "select", "stored": True, "seconds": 0.0}]}))
    assert plan_accuracy(plan, phases) == {"predicted": {"select": 0.0}, "seconds": {"select": 0.2}}
    plan.write_text(json.dumps({"phases": [{"name": "select", "stored": False, "seconds": 80.0}]}))
    assert plan_accuracy(plan, phases) == {"predicted": {}, "seconds": {}}  # the plan saw another store
