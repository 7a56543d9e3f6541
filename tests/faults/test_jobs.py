"""A whole job under faults: power cuts, full disks, flipped bits. After a rerun every output has the same bytes."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nait.store.upkeep.inventory import places
from nait.store.upkeep.verify import verify
from tests.app.commands import warm
from tests.faults.counts import counting
from tests.faults.jobs import flip, outputs, run
from tests.power_cuts import CUTS

pytestmark = pytest.mark.faults

HERE = Path(__file__).parent
CUT_POINTS = int(os.environ.get("NAIT_FAULTS_CUTS", "20"))
FLIPS = int(os.environ.get("NAIT_FAULTS_FLIPS", "300"))
DISKS_KB = (60, 120, 250, 500)


@pytest.fixture(scope="module")
def syncs(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> int:
    """The number of syncs of a job."""
    folder = tmp_path_factory.mktemp("count")
    assert not cut_job(command, folder, 10**9, CUTS[0])
    return int((folder / "store.syncs").read_text())


def cut_job(command: list[str], folder: Path, at: int, kind: str) -> bool:
    """Run a job until a power cut. Returns whether there was one."""
    store = folder / "store"
    store.mkdir(parents=True, exist_ok=True)
    words = [str(store), str(at), kind, *command]
    done = warm().run(words, cwd=folder, script=str(HERE / "power_cut_job.py"))
    assert done.returncode in (0, 9), done.stderr
    return done.returncode == 9


def test_a_job_after_a_power_cut_ends_with_the_same_bytes(
    command: list[str], whole: Path, syncs: int, tmp_path: Path
) -> None:
    with counting("power cuts: what was not synced is lost") as count:
        for i in range(CUT_POINTS):
            folder, kind = tmp_path / str(i), CUTS[i % len(CUTS)]
            at = 1 + i * (syncs - 1) // max(1, CUT_POINTS - 1)
            assert cut_job(command, folder, at, kind), at
            count.number += 1
            damaged = verify(folder / "store", deep=True)[2]
            done = run(command, folder)
            if damaged or done.returncode or outputs(folder) != outputs(whole):
                count.problems.append(f"{kind} at sync {at} of {syncs}: {damaged}\n{done.stderr[-2000:]}")


def test_a_flipped_bit_in_any_artifact_is_noticed_or_harmless_and_healed(
    command: list[str], whole: Path, tmp_path: Path
) -> None:
    """One bit in one file of each artifact for each rerun."""
    shutil.copytree(whole, tmp_path / "job")
    folder, drawn = tmp_path / "job", random.Random(0)
    with counting("flipped bits in artifacts") as count:
        while count.number < FLIPS:
            for place in places(folder / "store"):
                if place.state == "artifact":
                    flip(drawn.choice([one for one in sorted(place.path.rglob("*")) if one.is_file()]), drawn)
                    count.number += 1
            done = run(command, folder)
            if done.returncode or "Traceback" in done.stderr or outputs(folder) != outputs(whole):
                count.problems.append(f"after {count.number} flips\n{done.stderr[-2000:]}")
            for place in places(folder / "store"):
                if place.state == "damaged":
                    shutil.rmtree(place.path)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    """A file system in memory of this size."""
    folder.mkdir(parents=True)
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=False)
    if made.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("size", DISKS_KB)
def test_a_job_on_a_full_disk_says_so_and_ends_with_the_same_bytes_once_there_is_room(
    size: int, command: list[str], whole: Path, tmp_path: Path
) -> None:
    with small_disk(tmp_path / "disk", f"{size}k"):
        words = [*command, f"paths.store={tmp_path / 'disk' / 'store'}"]
        done = run(words, tmp_path)
        assert done.returncode == 2, done.stderr
        assert re.search(r"the disk (is|may be) full\. Free some space", done.stderr), done.stderr
        assert "Traceback" not in done.stderr
        subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path / "disk")], check=True)
        done = run(words, tmp_path)
        assert done.returncode == 0, done.stderr
        assert outputs(tmp_path) == outputs(whole)
    with counting("full disks: a small file system in memory") as count:
        count.number += 1
