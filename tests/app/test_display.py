"""The display reads what jobs write, and survives a file that is being replaced."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nait.cli.display import Display, JobFiles, states
from nait.store import write_json


def write(folder: Path, number: int, status: str) -> None:
    job = {"status": status, "stage": "train", "selector": "nait", "target": "math", "seed": number}
    (folder / str(number)).mkdir(exist_ok=True)
    (folder / str(number) / "run.json").write_text(json.dumps(job))


def test_states_are_read_and_half_written_files_left_for_later(tmp_path: Path) -> None:
    write(tmp_path, 0, "done")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "run.json").write_text("{")
    assert [job["status"] for job in states(JobFiles(tmp_path))] == ["done"]


def test_without_a_terminal_each_finished_job_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    display = Display(JobFiles(tmp_path), jobs=2)
    display.start()
    write(tmp_path, 0, "running")
    time.sleep(0.7)
    write(tmp_path, 0, "done")
    write(tmp_path, 1, "failed")
    display.stop()
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split("] ")[1] for line in lines) == [
        "nait, target math, seed 0: done",
        "nait, target math, seed 1: failed",
    ]


def test_a_record_of_an_earlier_sweep_in_the_folder_counts_once_a_job_has_written_it_again(
    tmp_path: Path,
) -> None:
    for number in range(3):
        write(tmp_path, number, "done")
    files = JobFiles.at_start(tmp_path)
    assert states(files) == []
    again = json.loads((tmp_path / "1" / "run.json").read_text())
    write_json(tmp_path / "1" / "run.json", again)
    write(tmp_path, 3, "running")
    assert [job["seed"] for job in states(files)] == [1, 3]


def test_jobs_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 0):
        write(tmp_path, number, "done")
    assert [job["seed"] for job in states(JobFiles(tmp_path))] == [0, 2, 10]
