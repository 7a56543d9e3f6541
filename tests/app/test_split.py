"""A model split among processes: the first is the run, the numbers are the whole model's, nobody waits for ever."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import distributed

from tests.app.commands import given, manifests, warm

NEARBY = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}


@pytest.fixture(autouse=True)
def _processes_can_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips on a machine without an interface on which processes can meet."""
    for name, value in NEARBY.items():
        monkeypatch.setenv(name, value)
    try:
        distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    except RuntimeError as error:
        pytest.skip(f"two processes cannot meet on this machine: {error}")
    distributed.destroy_process_group()


def rank(number: int) -> dict[str, str]:
    """What torchrun tells each of two processes."""
    return {"RANK": str(number), "LOCAL_RANK": str(number), "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def scores(folder: Path) -> list[pd.DataFrame]:
    return [pd.read_parquet(path) for path in sorted((folder / "runs").rglob("scores.parquet"))]


def test_a_split_model_selects_what_the_whole_one_does_after_a_job_that_it_refuses(
    home: Path, tmp_path: Path
) -> None:
    asked = [*given(home), "-m", "stages=[select]"]
    whole, split = (tmp_path / name for name in ("whole", "split"))
    for folder in (whole, split):
        folder.mkdir()
    assert warm().run([*asked, "selector=nait,perplexity,rds"], cwd=whole).returncode == 0
    words = [*asked, "selector=nait_mlp,nait,perplexity,rds", "model.tensor_parallel=true"]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), **NEARBY}
    ranks = [warm().start(words, cwd=split, environment={**rank(number), **meeting}) for number in (0, 1)]
    done, _ = (one.wait() for one in ranks)
    assert done.returncode != 0
    refusal = "a tensor-parallel model shards the MLP neurons"
    assert 0 <= done.stderr.find(refusal) < done.stderr.index("Opening"), "the model was opened first"
    refused, *rest = (one["status"] for one in manifests(split))
    assert (refused, rest) == ("failed", ["done"] * 3), "the second process writes a run"
    for ours, theirs in zip(scores(split), scores(whole), strict=True):
        columns = [name for name in ours if name.startswith("score")]
        np.testing.assert_allclose(ours[columns], theirs[columns], rtol=1e-5, atol=1e-5)
        assert ours["id"].tolist() == theirs["id"].tolist()
    again = warm().run([*asked, "selector=nait,perplexity,rds"], cwd=split)
    assert again.returncode == 0
    assert "Opening" not in again.stderr, "the store has what the split model measured"


def test_a_split_model_selects_and_does_nothing_else(home: Path, tmp_path: Path) -> None:
    words = [*given(home), "model.tensor_parallel=true"]
    done = warm().run(words, cwd=tmp_path, environment=rank(0))  # refused before it waits for the second
    assert done.returncode != 0
    assert "a tensor-parallel model can only select" in done.stderr
    alone = warm().run([*words, "stages=[select]"], cwd=tmp_path)
    assert alone.returncode == 2
    assert "torchrun --nproc-per-node" in alone.stderr
