"""The display reads what jobs write, and survives a file that is being replaced."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from nait.cli.display import Display, states


def write(folder: Path, number: int, status: str) -> None:
    job = {"status": status, "stage": "train", "selector": "nait", "target": "math", "seed": number}
    (folder / str(number)).mkdir(exist_ok=True)
    (folder / str(number) / "run.json").write_text(json.dumps(job))


def test_states_are_read_and_half_written_files_left_for_later(tmp_path: Path) -> None:
    write(tmp_path, 0, "done")
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "run.json").write_text("{")
    assert [job["status"] for job in states(tmp_path)] == ["done"]


def test_without_a_terminal_each_finished_job_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    display = Display(tmp_path, jobs=2)
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
