"""A job that is killed, or whose disk fails, at any call that changes files costs no byte: a rerun gives the same.

Each kind of fault visits every place in the code that changes a file, one place for each run of the job, always in
the same folder: a run resumes what the runs before it left. A run that ends well starts the folder anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from nait.store.upkeep.verify import verify
from tests.app.commands import make_home, warm
from tests.faults.counts import counted
from tests.faults.jobs import outputs, run, words
from tests.faults.system_calls import SUPPORTED

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not SUPPORTED, reason="kernel filters are for Linux on x86_64"),
]

JOB = str(Path(__file__).with_name("fault_job.py"))
MOST = int(os.environ.get("NAIT_FAULTS_CALLS", "1000"))
CAUSES = {"full": "the disk is full", "short": "the disk is full", "error": "the disk reports an error"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The outputs of an undisturbed job."""
    folder = tmp_path_factory.mktemp("whole")
    done = run(words(home), folder)
    assert done.returncode == 0, done.stderr
    return outputs(folder)


def faulted(command: list[str], folder: Path, fault: str, seen: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return warm().run([str(folder), fault, str(seen), *command], cwd=folder, script=JOB)


def check_end(done: subprocess.CompletedProcess[str], fault: str, label: str) -> None:
    """A killed job has no exit code of its own; one with a failing disk says so in one message."""
    if fault == "kill":
        assert done.returncode == -9, (label, done.stderr)
        return
    assert done.returncode in (0, 2), (label, done.stderr)
    assert "Traceback" not in done.stderr, (label, done.stderr)
    if done.returncode:
        assert CAUSES[fault] in done.stderr, (label, done.stderr)


@pytest.mark.parametrize("fault", ["kill", "full", "error", "short"])
def test_a_fault_at_any_change_of_a_file_costs_no_byte(
    fault: str, home: Path, whole: dict[str, bytes], tmp_path: Path
) -> None:
    command, folder, seen, count = words(home), tmp_path / "job", tmp_path / "seen", 0
    while count < MOST:
        done = faulted(command, folder, fault, seen)
        labels = seen.read_text().splitlines()
        if len(labels) == count:
            break
        count = len(labels)
        check_end(done, fault, labels[-1])
        if done.returncode == 0:
            assert outputs(folder) == whole, labels[-1]
            shutil.rmtree(folder)
    done = run(command, folder)
    assert done.returncode == 0, done.stderr
    assert outputs(folder) == whole
    assert verify(folder / "store", deep=True)[2] == []
    counted({"kill": "kill points"}.get(fault, f"{fault} at a call"), count)
