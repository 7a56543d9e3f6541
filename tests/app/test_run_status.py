"""The status of a run: a run whose process was killed is interrupted as soon as anybody sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nait.runs.records.interrupted_runs import has_ended, settle, settle_all, this_process
from nait.store import write_json

PROCESS = """
import json

from nait.runs.records.interrupted_runs import this_process

print(json.dumps(this_process()))
"""


@pytest.fixture(scope="module")
def ended() -> dict[str, object]:
    """The record of a process that has ended."""
    done = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def record(folder: Path, status: str, process: object) -> Path:
    folder.mkdir(parents=True)
    write_json(folder / "run.json", {"status": status, "process": process, "seed": 0})
    return folder


def status(folder: Path) -> str:
    return str(json.loads((folder / "run.json").read_text())["status"])


def test_a_run_whose_process_was_killed_is_interrupted_when_it_is_seen(
    tmp_path: Path, ended: dict[str, object]
) -> None:
    job = record(tmp_path / "2026-01-01" / "10-00-00", "running", ended)
    of_sweep = record(tmp_path / "2026-01-01" / "11-00-00" / "3", "running", ended)
    done = record(tmp_path / "2026-01-01" / "12-00-00", "done", ended)
    living = record(tmp_path / "2026-01-01" / "13-00-00", "running", this_process())
    settle_all(tmp_path)
    assert [status(one) for one in (job, of_sweep, done, living)] == [
        "interrupted", "interrupted", "done", "running",
    ]  # fmt: skip
    assert json.loads((job / "run.json").read_text())["seed"] == 0


@pytest.mark.parametrize("other", [{"host": "elsewhere"}, {"pid": "7"}, None])
def test_a_run_of_another_machine_or_without_a_process_may_be_running(
    other: dict[str, object] | None, tmp_path: Path, ended: dict[str, object]
) -> None:
    folder = record(tmp_path / "run", "running", {**ended, **other} if other else None)
    settle(folder)
    assert status(folder) == "running"


def test_a_process_with_the_number_of_a_dead_one_is_another(ended: dict[str, object]) -> None:
    process = this_process()
    assert not has_ended(process)
    if process["born"]:
        assert has_ended({**process, "born": ended["born"]})


def test_a_record_that_cannot_be_read_stays(tmp_path: Path) -> None:
    for number, text in enumerate(("", "[]", '{\n  "status": "running"', '{\n  "status": "running"}')):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "run.json").write_text(text)
        settle(folder)
        assert (folder / "run.json").read_text() == text


def test_a_pipe_in_place_of_a_record_blocks_no_job(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-01" / "10-00-00"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "run.json")
    settle_all(tmp_path)
