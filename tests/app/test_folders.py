"""Folders that a user names and that cannot be written: one message with folder, cause and fix, on every command."""

from __future__ import annotations

import errno
import json
import subprocess
from pathlib import Path

import pytest

from nait.core.inputs.paths import write_error
from tests.app.commands import Run, warm

QUICK = ("selector=random", "stages=[select]")


def told(done: subprocess.CompletedProcess[str], *words: str) -> None:
    """Exit code 2 and one line with all the words, without a traceback."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "UserWarning" not in done.stderr
    said = [line for line in done.stderr.splitlines() if all(word in line for word in words)]
    assert said, done.stderr


@pytest.mark.parametrize("key", ["paths.runs", "paths.store"])
@pytest.mark.parametrize(("folder", "cause"), [("/proc/x", "no folder can be made"), ("file", "a file")])
def test_a_folder_that_cannot_be_made_is_one_message(
    nait: Run, tmp_path: Path, key: str, folder: str, cause: str
) -> None:
    (tmp_path / "file").touch()
    told(nait(*QUICK, f"{key}={folder}"), folder, cause, f"{key}=FOLDER")


def test_a_sweep_reports_an_unwritable_folder_too(nait: Run) -> None:
    told(nait("-m", *QUICK, "seed=0,1", "paths.runs=/proc/x"), "/proc/x", "paths.runs=FOLDER")


def test_a_full_disk_under_the_run_is_named(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "run/selected.jsonl"))
    said = str(write_error(full, folder=tmp_path / "run"))
    assert f"{tmp_path}/run" in said
    assert "the disk is full" in said
    assert "paths.runs=FOLDER" in said


def test_a_report_that_cannot_be_written_is_named_and_fails(nait: Run, tmp_path: Path) -> None:
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "report").touch()
    sweep = ("-m", "selector=random", "stages=[select,report]", "seed=0,1", "hydra.sweep.dir=sweep")
    told(nait(*sweep), "sweep/report", "a file", "paths.runs=FOLDER")
    for out, cause in (("/proc/x", "no folder can be made"), (str(tmp_path / "sweep" / "report"), "a file")):
        done = warm().run(["store", "--out", out], cwd=tmp_path, module="nait.sweeps")
        told(done, out, cause, "--out FOLDER")


def test_a_sweep_in_the_folder_of_an_earlier_one_has_its_own_jobs_alone(nait: Run, tmp_path: Path) -> None:
    sweep = ("-m", "selector=random", "stages=[select,report]", "hydra.sweep.dir=sweep")
    for seeds in ([0, 1], [2]):
        done = nait(*sweep, f"seed={','.join(map(str, seeds))}")
        assert done.returncode == 0, done.stderr
        rows = json.loads((tmp_path / "sweep" / "report" / "leaderboard.json").read_text())
        assert [row["seed"] for row in rows] == seeds
    planned = nait(*sweep, "seed=0,1,3", "plan=true")
    assert "3 jobs: " in planned.stdout
    assert "1 job: " in nait(*sweep, "seed=0", "plan=true").stdout


def test_the_jobs_of_a_sweep_may_have_folders_in_folders(nait: Run, tmp_path: Path) -> None:
    below = "hydra.sweep.subdir=${selector.name}/seed-${seed}"
    done = nait("-m", "selector=random", "stages=[select,report]", "seed=0,1", "hydra.sweep.dir=sweep", below)
    assert done.returncode == 0, done.stderr
    assert "Failed" not in done.stdout
    rows = json.loads((tmp_path / "sweep" / "report" / "leaderboard.json").read_text())
    assert [row["seed"] for row in rows] == [0, 1]
