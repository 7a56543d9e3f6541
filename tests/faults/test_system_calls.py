"""A job that is killed, or whose disk fails, at any call that changes files costs no byte: a rerun gives the same.

Each kind of fault visits every place in the code that changes a file, one place for each run of the job, always in
the same folder: a run resumes what the runs before it left. A run that ends well starts the folder anew.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from nait.store.upkeep.verify import verify
from tests.app.commands import warm
from tests.faults.counts import counting
from tests.faults.jobs import flip, outputs, run
from tests.faults.system_calls import SUPPORTED

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not SUPPORTED, reason="kernel filters are for Linux on x86_64"),
]

JOB = str(Path(__file__).with_name("fault_job.py"))
MOST = int(os.environ.get("NAIT_FAULTS_CALLS", "1000"))
FLIPS = int(os.environ.get("NAIT_FAULTS_UNFINISHED", "24"))
CAUSES = {
    "full": ("the disk is full",),
    "short": ("the disk is full",),
    "refused": (
        "the disk quota is used up",
        "there is no permission",
        "the file system is read-only",
        "the file would be larger",
        "the file system refuses it; the disk may be full",
    ),
    "error": ("the disk reports an error", "the file system refuses it; the disk may be full"),
}
"""What the message says. torch hides the cause of its own failed writes."""
COUNTED = {
    "kill": "kill points: SIGKILL at a call that changes files",
    "full": "full disks: ENOSPC from this call on",
    "error": "failing disks: EIO at one call",
    "refused": "refused writes: EDQUOT and EROFS from this call on, EACCES and EFBIG at one call, in turn",
    "short": "short writes: half of the data, then ENOSPC",
}
EVERY = {"refused": 5}
"""Of the places in the code that change a file, a fault visits every so many: all, unless it is named here."""
UNFINISHED = {
    "passes": "allocate store/passes/ADDRESS.part/N.npy",
    "adapters": "open store/adapters/ADDRESS.part/curve.json.TOKEN.part",
    "evaluations": "open store/evaluations/ADDRESS.part/samples.parquet.TOKEN.part",
}
"""Kind of artifact -> the call at which its unfinished work is complete: chunks, checkpoints, answers."""


def faulted(command: list[str], folder: Path, fault: str, seen: Path) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return warm().run([str(folder), fault, str(seen), *command], cwd=folder, script=JOB)


def wrong_end(done: subprocess.CompletedProcess[str], fault: str) -> str:
    """What is wrong with the end of a job. A failing disk is one message, unless the write was not needed."""
    if fault == "kill":
        return "" if done.returncode == -9 else f"ended with {done.returncode}"
    if done.returncode not in (0, 2) or "Traceback" in done.stderr:
        return f"ended with {done.returncode}"
    named = any(cause in done.stderr for cause in CAUSES[fault])
    return "is not named" if done.returncode and not named else ""


def places_left_out(command: list[str], folder: Path, every: int) -> list[str]:
    """The places of an undisturbed job without every so many of them; none for 1."""
    if every == 1:
        return []
    faulted(command, folder / "undisturbed", "none", folder / "places")
    labels = (folder / "places").read_text().splitlines()
    return [label for number, label in enumerate(labels) if number % every]


@pytest.mark.parametrize("fault", ["kill", "full", "error", "short", "refused"])
def test_a_fault_at_any_change_of_a_file_costs_no_byte(
    fault: str, command: list[str], whole: Path, tmp_path: Path
) -> None:
    folder, seen = tmp_path / "job", tmp_path / "seen"
    left_out = places_left_out(command, tmp_path, EVERY.get(fault, 1))
    seen.write_text("".join(f"{label}\n" for label in left_out))
    with counting(COUNTED[fault]) as count:
        while count.number < MOST:
            done = faulted(command, folder, fault, seen)
            labels = seen.read_text().splitlines()[len(left_out) :]
            if len(labels) == count.number:
                break
            count.number = len(labels)
            if wrong := wrong_end(done, fault):
                count.problems.append(f"{labels[-1]}: {wrong}\n{done.stderr[-2000:]}")
            if done.returncode == 0:
                if outputs(folder) != outputs(whole):
                    count.problems.append(f"{labels[-1]}: other outputs")
                shutil.rmtree(folder)
        folder.mkdir(exist_ok=True)  # the job before may have ended well
        done = run(command, folder)
        if done.returncode or outputs(folder) != outputs(whole) or verify(folder / "store", deep=True)[2]:
            count.problems.append(f"the rerun differs\n{done.stderr[-2000:]}")


def test_a_flipped_bit_in_unfinished_work_is_noticed_or_harmless(
    command: list[str], whole: Path, tmp_path: Path
) -> None:
    """One bit in one file of what a killed pass, training or evaluation left."""
    drawn = random.Random(1)
    faulted(command, tmp_path / "seen-all", "none", tmp_path / "all")
    labels = (tmp_path / "all").read_text().splitlines()
    with counting("flipped bits in unfinished work: chunks, checkpoints, answers") as count:
        for number in range(FLIPS):
            kind, call = list(UNFINISHED.items())[number % len(UNFINISHED)]
            folder, seen = tmp_path / str(number), tmp_path / f"{number}.seen"
            seen.write_text("".join(f"{label}\n" for label in labels if label != call))
            done = faulted(command, folder, "kill", seen)
            paths = [path for path in sorted((folder / "store" / kind).rglob("*")) if path.is_file()]
            paths = [path for path in paths if ".part" in str(path) and path.stat().st_size]
            if done.returncode != -9 or not paths:
                count.problems.append(f"{call}: ended with {done.returncode}\n{done.stderr[-2000:]}")
                continue
            path = drawn.choice(paths)
            flip(path, drawn)
            count.number += 1
            done = run(command, folder)
            if done.returncode or "Traceback" in done.stderr or outputs(folder) != outputs(whole):
                count.problems.append(f"{path}: other outputs\n{done.stderr[-2000:]}")
            shutil.rmtree(folder)
