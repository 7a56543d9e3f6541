"""Laws of a shared training: two processes train the adapter of one, and an error of rank 0 ends it in both."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from nait.core.errors import NaitError
from nait.core.ranks import Workers
from nait.models.loading import LocalModel
from nait.models.tokens.batches import width_of
from nait.models.tokens.uneven_rows import split
from nait.runs.processes.shared_work import _SharedTrainer
from nait.stages.train import drawn_by
from nait.training.adapters.adapter_files import ADAPTER_WEIGHTS
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from nait.training.updates.shared_updates import share
from tests.app.commands import warm
from tests.app.warm import Started
from tests.training.conftest import Records, TinyModel

PROCESS = """
import os, sys
from pathlib import Path

from nait.core.ranks import workers_from
from nait.models.devices import process_group
from tests.training.conftest import TinyModel
from tests.training.steps_together import take_steps
from tests.training.test_shared_updates import RECIPES, STEPS, Stops, table

model, folder = TinyModel(Path(sys.argv[1])), Path(sys.argv[2])
workers = workers_from(os.environ)
process_group.init_process_group(workers)
take_steps(RECIPES, STEPS, model, table(), folder, workers, Stops)
"""
LORA = LoraRecipe(r=2, alpha=4, dropout=0.0)
PLAIN = FineTune(epochs=2, batch_size=5, learning_rate=0.01, save_seconds=0, lora=LORA)
RECIPES = {
    "lora": PLAIN,
    "full": FineTune(
        method="full",
        epochs=1,
        batch_size=3,
        learning_rate=0.01,
        gradient_checkpointing=True,
        device_tokens=20,
    ),
    "dropout": FineTune(
        epochs=2, batch_size=5, learning_rate=0.01, save_seconds=0, lora=LoraRecipe(r=2, alpha=4, dropout=0.3)
    ),
    "few": FineTune(epochs=1, batch_size=1, learning_rate=0.01, lora=LORA),
}
"""`few`: updates of fewer rows than processes."""
STEPS = [
    ("lora", "lora", None), ("lora", "left", 2), ("lora", "lora-stopped", 2), ("lora", "lora-stopped", None),
    ("full", "full", None), ("dropout", "dropout", None), ("dropout", "dropout-stopped", 2),
    ("dropout", "dropout-stopped", None), ("few", "few", None),
]  # fmt: skip
"""Recipe, folder, and the step at which rank 0 stops with an error; what was stopped is resumed."""


class Stops(Records):
    """A tracker that stops the training with an error at a step."""

    def log(self, metrics: Any, *, phase: str, step: int | None = None) -> None:
        if step == self.stop_at:
            raise NaitError("stopped")


def table() -> Any:
    """The rows of the fixture."""
    from nait.core.dataset.token_table import token_table

    draw = np.random.default_rng(3)
    ids = [draw.integers(2, 48, size=draw.integers(5, 15)).tolist() for _ in range(10)]
    return token_table(ids, [[i >= 3 for i in range(len(row))] for row in ids], [False] * len(ids))


def start(folder: Path, model: TinyModel, *, rank: int, count: int, port: int) -> Started:
    script = folder / "process.py"
    script.write_text(PROCESS)
    launcher = {"RANK": rank, "WORLD_SIZE": count, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return warm().start(
        [str(model.folder), str(folder / f"rank-{rank}")], script=str(script), cwd=Path(__file__).parents[2],
        environment={name: str(value) for name, value in launcher.items()},
    )  # fmt: skip


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, tiny: TinyModel) -> Path:
    """What rank 0 of two processes writes, by recipe."""
    folder = tmp_path_factory.mktemp("shared")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = [one.wait() for one in [start(folder, tiny, rank=rank, count=2, port=port) for rank in (0, 1)]]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
    assert not [path for path in (folder / "rank-1").rglob("*") if path.is_file()], "a helper wrote"
    return folder / "rank-0"


def weights(folder: Path) -> torch.Tensor:
    (path,) = [path for name in (ADAPTER_WEIGHTS, "model.safetensors") if (path := folder / name).is_file()]
    tensors = load_file(path)
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("name", ["lora", "full", "few"])
def test_two_processes_train_the_weights_of_one(
    name: str, together: Path, tiny: TinyModel, tmp_path: Path
) -> None:
    RECIPES[name].train(tiny, table(), tmp_path, seed=0, tracker=Records())
    alone, found = weights(tmp_path), weights(together / name)
    assert float((found - alone).norm() / alone.norm()) < 1e-5
    curves = [json.loads((folder / "curve.json").read_text()) for folder in (tmp_path, together / name)]
    for one, two in zip(*curves, strict=True):
        assert two == pytest.approx(one, rel=1e-4)


@pytest.mark.parametrize("name", ["lora", "dropout"])
def test_a_shared_training_that_rank_0_stopped_resumes_to_the_same_bytes(name: str, together: Path) -> None:
    assert torch.equal(weights(together / f"{name}-stopped"), weights(together / name))


def test_a_shared_training_is_resumed_by_one_process(together: Path, tiny: TinyModel) -> None:
    left = together / "left"
    found = RECIPES["lora"].train(tiny, table(), left, seed=0, tracker=Records())
    whole = weights(together / "lora")
    assert float((weights(left) - whole).norm() / whole.norm()) < 1e-5
    assert found["steps"] == 4


@pytest.mark.parametrize(("name", "entry"), [("lora", {}), ("full", {}), ("dropout", {"processes": 2})])
def test_the_number_of_processes_is_in_the_address_where_each_draws_dropout(
    name: str, entry: dict[str, int], tiny: TinyModel
) -> None:
    shared = _SharedTrainer(RECIPES[name], Workers(0, 2))
    assert drawn_by(shared, tiny) == entry
    assert drawn_by(RECIPES[name], tiny) == {}  # a single process


def test_a_model_that_drops_out_itself_is_drawn_by_each_process(tiny: TinyModel, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny.folder, folder)
    shared = _SharedTrainer(PLAIN, Workers(0, 2))
    assert drawn_by(shared, LocalModel(str(folder))) == {}
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "attention_dropout": 0.1}))
    assert drawn_by(shared, LocalModel(str(folder))) == {"processes": 2}


OVERHEAD = 69.0
"""Tokens that starting a micro-batch of the embedded model costs on a CPU."""


def cost(lengths: Any) -> float:
    """The work of an update's rows in one process: padded tokens, and the starts of micro-batches."""
    parts = split(lengths, 512, overhead=OVERHEAD)
    return sum(len(part) * width_of(int(lengths[part].max())) + OVERHEAD for part in parts)


@pytest.mark.parametrize(("processes", "size", "least"), [(2, 16, 0.92), (4, 32, 0.9), (8, 128, 0.9)])
def test_shares_of_an_update_take_about_as_long_as_their_part_of_it(
    processes: int, size: int, least: float
) -> None:
    draw = np.random.default_rng(0)
    lengths = np.clip(draw.normal(45, 15, size=1000), 12, 120).astype(np.int64)
    alone, slowest = 0.0, 0.0
    for _ in range(20):
        rows = draw.permutation(1000)[:size]
        shares = [
            share(rows, lengths, Workers(rank, processes), overhead=OVERHEAD) for rank in range(processes)
        ]
        assert sorted(np.concatenate(shares).tolist()) == sorted(rows.tolist())
        alone += cost(lengths[rows])
        slowest += max(cost(lengths[own]) for own in shares if len(own))
    assert alone / processes / slowest > least


def test_an_update_of_fewer_rows_than_processes_is_dealt() -> None:
    lengths = np.array([9, 4])
    shares = [
        share(np.array([1]), lengths, Workers(rank, 3), overhead=OVERHEAD).tolist() for rank in range(3)
    ]
    assert sorted(shares) == [[], [], [1]]
