"""A job that is killed or interrupted keeps what it measured, and the next one gives the same bytes."""

from __future__ import annotations

import json
import re
import shlex
import signal
import time
from pathlib import Path

import pytest

from nait.store import Store
from tests.app.commands import given, manifests, warm


@pytest.fixture(scope="module")
def scoring(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], bytes]:
    """A command that scores 4,000 rows, and the scores it gives in one piece."""
    folder = tmp_path_factory.mktemp("whole")
    rows = [json.loads(line) for line in (home / "pool.jsonl").read_text().splitlines()]
    large = folder / "large.jsonl"
    large.write_text("".join(json.dumps({**row, "instruction": f"{row['instruction']} {k}"}) + "\n"
                             for k in range(100) for row in rows))  # fmt: skip
    command = [
        *given(home),
        f"data.path={large}",
        "stages=[select]",
        "engine.batch_tokens=512",
        "engine.save_seconds=0",
    ]
    return command, scores_of(command, folder)


def scores_of(command: list[str], folder: Path) -> bytes:
    """The scores that the command leaves in the folder."""
    done = warm().run(command, cwd=folder)
    assert done.returncode == 0, done.stderr
    newest = max((folder / "runs").rglob("scores.parquet"), key=lambda path: path.stat().st_mtime_ns)
    return newest.read_bytes()


def stopped(
    command: list[str], folder: Path, how: signal.Signals, *, when: str, count: int
) -> tuple[int, str]:
    """The exit code and the log of a job that gets the signal once this many files match `when`.

    The job is paused while files are counted, so that it cannot end between the count and the signal.
    """
    job = warm().start(command, cwd=folder)
    for _ in range(5000):
        job.signal(signal.SIGSTOP)
        if len(list(folder.rglob(when))) >= count:
            break
        job.signal(signal.SIGCONT)
        assert job.running(), "the job ended before it could be stopped"
        time.sleep(0.02)
    job.signal(how)
    job.signal(signal.SIGCONT)
    done = job.wait()
    return done.returncode, done.stderr


def test_a_killed_job_resumes_to_the_same_bytes(scoring: tuple[list[str], bytes], tmp_path: Path) -> None:
    command, whole = [*scoring[0], "engine.chunk_tokens=2000"], scoring[1]
    stopped(command, tmp_path, signal.SIGKILL, when="passes/*.part/chunk-*.npz", count=3)
    assert len(list(tmp_path.rglob("chunk-*.npz"))) >= 3
    assert scores_of(command, tmp_path) == whole


def test_an_interrupted_job_keeps_what_it_measured_and_says_how_to_continue(
    scoring: tuple[list[str], bytes], tmp_path: Path
) -> None:
    command, whole = scoring
    kept = []
    for how, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        before = len(list(tmp_path.rglob("begun-*")))
        ended, said = stopped(command, tmp_path, how, when="passes/*.part/begun-*.npz", count=before + 3)
        assert ended == code, said
        assert "Traceback" not in said
        (rows,) = re.findall(
            r"^\S+ W Reading large: (\d+) of 4000 rows are measured and kept", said, re.MULTILINE
        )
        kept.append(int(rows))
        assert shlex.join(["nait", *command]) in said
    assert 0 < kept[0] < kept[1] < 4000
    assert scores_of(command, tmp_path) == whole
    taken = [
        made.manifest.get("earlier_seconds", 0.0) for made in Store(tmp_path / "store").artifacts("passes")
    ]
    assert max(taken) > 0
    (last,) = (manifest for manifest in manifests(tmp_path) if manifest["status"] == "done")
    assert last["seconds"]["select"] > max(taken), "a selection takes what all its attempts took"
