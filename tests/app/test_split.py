"""A model split among processes: the first is the run, the numbers are the whole model's, nobody waits for ever."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.app.commands import environment, given, make_home, manifests

MEET = "import torch.distributed as d; d.init_process_group('gloo'); d.barrier(); d.destroy_process_group()"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder, on a machine where two processes can meet."""
    folder = make_home(tmp_path_factory.mktemp("home"))
    (folder / "meet.py").write_text(MEET)
    met = launch(folder, 2, str(folder / "meet.py"))
    if met.returncode:
        pytest.skip(f"two processes cannot meet on this machine: {met.stderr[-300:]}")
    return folder


def launch(folder: Path, processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """A script or module in so many processes, on a processor."""
    nearby = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return subprocess.run(
        [sys.executable, *(launcher if processes > 1 else []), *words],
        cwd=folder, env={**environment(), **nearby}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def start(folder: Path, home: Path, *arguments: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """`nait` in so many processes."""
    folder.mkdir(exist_ok=True)
    return launch(folder, processes, "-m", "nait", *given(home), *arguments)


def scores(folder: Path) -> list[pd.DataFrame]:
    return [pd.read_parquet(path) for path in sorted((folder / "runs").rglob("scores.parquet"))]


def test_a_split_model_selects_what_the_whole_one_does(home: Path, tmp_path: Path) -> None:
    asked = ("-m", "stages=[select]", "selector=nait,perplexity,rds")
    whole, split = (tmp_path / name for name in ("whole", "split"))
    assert start(whole, home, *asked, processes=1).returncode == 0
    done = start(split, home, *asked, "model.tensor_parallel=true")
    assert done.returncode == 0, done.stderr
    for ours, theirs in zip(scores(split), scores(whole), strict=True):
        columns = [name for name in ours if name.startswith("score")]
        np.testing.assert_allclose(ours[columns], theirs[columns], rtol=1e-5, atol=1e-5)
        assert ours["id"].tolist() == theirs["id"].tolist()
    assert len(manifests(split)) == 3, "the second process writes a run"
    again = start(split, home, *asked, processes=1)
    assert again.returncode == 0
    assert "Opening" not in again.stderr, "the store has what the split model measured"


def test_what_a_split_model_cannot_give_is_refused_and_the_next_job_runs(home: Path, tmp_path: Path) -> None:
    asked = ("-m", "stages=[select]", "selector=nait_mlp,nait", "model.tensor_parallel=true")
    done = start(tmp_path, home, *asked)
    assert done.returncode != 0
    assert "a tensor-parallel model shards the MLP neurons" in done.stderr
    assert sorted(one["status"] for one in manifests(tmp_path)) == ["done", "failed"]


def test_a_split_model_selects_and_does_nothing_else(home: Path, tmp_path: Path) -> None:
    done = start(tmp_path, home, "model.tensor_parallel=true")
    assert done.returncode != 0
    assert "a tensor-parallel model can only select" in done.stderr
    alone = start(tmp_path, home, "stages=[select]", "model.tensor_parallel=true", processes=1)
    assert alone.returncode == 2
    assert "torchrun --nproc-per-node" in alone.stderr
