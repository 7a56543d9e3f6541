"""`nait submit` on what a sweep of the command line has left."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.app.commands import given, make_home, warm


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after a sweep of two methods with three seeds."""
    folder, home = tmp_path_factory.mktemp("Läufe hier"), make_home(tmp_path_factory.mktemp("home"))
    words = [*given(home), "selector=rds,random", "seed=0,1,2", "budget.ratio=0.2", "train.epochs=1"]
    done = warm().run(["-m", *words], cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def submit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return warm().run(["submit", *words], cwd=folder)


def test_a_sweep_becomes_a_row_of_a_leaderboard(swept: Path) -> None:
    (sweep,) = (swept / "runs").glob("*/*")
    done = submit(swept, str(sweep), "--out", "board")
    assert done.returncode == 0, done.stderr
    (path,) = (swept / "board" / "rows").iterdir()
    row = json.loads(path.read_text(encoding="utf-8"))
    assert (row["method"], row["seeds"], [one["task"] for one in row["results"]]) == (
        "rds",
        [0, 1, 2],
        ["toy_sums"],
    )
    assert row["versions"]["torch"]
    assert row["command"].startswith("nait ")
    assert str(swept) not in path.read_text(encoding="utf-8")
    assert "| rds" in (swept / "board" / "TABLE.md").read_text(encoding="utf-8")


def test_a_sweep_whose_adapter_is_changed_is_refused(swept: Path) -> None:
    weights = next((swept / "store" / "adapters").rglob("*.safetensors"))
    kept = weights.read_bytes()
    weights.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
    (sweep,) = (swept / "runs").glob("*/*")
    done = submit(swept, str(sweep), "--out", "other")
    weights.write_bytes(kept)
    assert done.returncode == 2
    assert "differs from its checksum" in done.stderr
    assert not (swept / "other").exists()


def test_a_wrong_folder_is_answered(swept: Path) -> None:
    done = submit(swept, "store", "--out", "other")
    assert done.returncode == 2
    assert "store: holds no run. Give a run's folder" in done.stderr
