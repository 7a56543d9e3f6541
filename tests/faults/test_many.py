"""Many writers of one store, many jobs in one process, many damaged files of rows."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nait.store.upkeep.inventory import places
from nait.store.upkeep.verify import verify
from tests.app.commands import warm
from tests.data import fuzz
from tests.faults.counts import counting
from tests.faults.jobs import outputs

pytestmark = pytest.mark.faults

WRITERS = 8
JOBS = int(os.environ.get("NAIT_FAULTS_JOBS", "200"))
FUZZ = int(os.environ.get("NAIT_FAULTS_FUZZ", "20000"))
SHARDS = 4
SETTLED = 0.3
"""The share of the jobs after which a process has its caches."""
MB_PER_JOB = 0.05
"""The most that a job may add to the memory of its process."""


def test_eight_writers_make_one_set_of_artifacts(command: list[str], whole: Path, tmp_path: Path) -> None:
    with counting("writers of one store at the same time") as count:
        jobs = [warm().start(command, cwd=tmp_path) for _ in range(WRITERS)]
        ends = [job.wait() for job in jobs]
        count.number = len(ends)
        count.problems += [one.stderr[-2000:] for one in ends if one.returncode or "Traceback" in one.stderr]
        assert outputs(tmp_path) == outputs(whole)
        found = places(tmp_path / "store")
        assert {one.state for one in found} == {"artifact"}
        assert {one.path.name for one in found} == {one.path.name for one in places(whole / "store")}
        assert verify(tmp_path / "store", deep=True)[2] == []


def resident_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="/proc is Linux's")
def test_many_jobs_in_one_process_do_not_add_up_in_memory(command: list[str], tmp_path: Path) -> None:
    """Each job selects at random, trains one update and evaluates."""
    words = ["-m", *command, "selector=random", "train.max_steps=1", "train.save_seconds=300",
             "stages=[select,train,evaluate]", f"seed=range(0,{JOBS})"]  # fmt: skip
    with counting("jobs in one process") as count:
        job = warm().start(words, cwd=tmp_path, seconds=1500)
        sizes: dict[int, float] = {}
        while job.running():
            count.number = len(list((tmp_path / "runs").rglob("run.json")))
            sizes[count.number] = resident_mb(job.pid)
            time.sleep(0.2)
        done = job.wait()
        assert done.returncode == 0, done.stderr[-2000:]
        assert count.number == JOBS
        settled = min(number for number in sizes if number >= SETTLED * JOBS)
        last = max(
            number for number in sizes if number < JOBS
        )  # the leaderboard of all jobs follows the last
        added = (sizes[last] - sizes[settled]) / (last - settled)
        assert added < MB_PER_JOB, f"{added:.2f} MB a job"


@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_large_corpus_of_damaged_files_raises_only_nait_errors(shard: int, tmp_path: Path) -> None:
    with counting("damaged files of rows (fuzz)") as count:
        for number in range(shard, FUZZ, SHARDS):
            fuzz.check(number, tmp_path)
            count.number += 1
