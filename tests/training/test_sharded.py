"""Laws of a sharded training: two processes, each with half of the weights, train the weights of one process."""

from __future__ import annotations

import json
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from nait.core.errors import ConfigError, NaitError
from nait.models.devices.sharded_network import open_unsharded
from nait.runs.job_checks import check_training
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from tests.app.commands import warm
from tests.app.warm import Started
from tests.training.conftest import Records, TinyModel
from tests.training.test_shared_updates import LORA, Stops, table, weights

PROCESS = """
import json, os, sys
from pathlib import Path

from nait.core.ranks import workers_from
from nait.models.devices import process_group
from nait.models.devices.sharded_network import local_bytes
from nait.training import recipes
from tests.training.conftest import TinyModel
from tests.training.steps_together import take_steps
from tests.training.test_sharded import RECIPES, STEPS, Stops, table

model, folder = TinyModel(Path(sys.argv[1])), Path(sys.argv[2])
workers = workers_from(os.environ)
process_group.init_process_group(workers)
shard, held = recipes.shard, []

def noted(network, **options):
    before = [p.numel() * p.element_size() for p in network.parameters() if not p.requires_grad or options["dtype"]]
    shard(network, **options)
    after = [p for p in network.parameters() if not p.requires_grad or options["dtype"]]
    held.append((sum(before), local_bytes(after)))

recipes.shard = noted
take_steps(RECIPES, STEPS, model, table(), folder, workers, Stops)
if workers.rank == 0:
    (folder / "held.json").write_text(json.dumps(held))
"""
ONE = FineTune(epochs=2, batch_size=5, learning_rate=0.01, save_seconds=0, device_tokens=20, lora=LORA)
FULL = replace(ONE, method="full", lora=None)
RECIPES = {
    "lora": replace(ONE, sharding="fsdp"),
    "dora": replace(
        ONE, sharding="fsdp", gradient_checkpointing=True,
        lora=replace(LORA, variant="dora", modules_to_save=["lm_head"]),
    ),
    "full": replace(FULL, sharding="fsdp"),
    "few": replace(ONE, epochs=1, batch_size=1, sharding="fsdp"),
}  # fmt: skip
"""`device_tokens`: processes have different numbers of micro-batches; `few`: updates of fewer rows than processes."""
STEPS = [
    ("lora", "lora", None), ("dora", "dora", None), ("full", "full", None), ("few", "few", None),
    ("lora", "lora-left", 2), ("full", "full-left", 3), ("full", "full-stopped", 2), ("full", "full-stopped", None),
    ("full", "full-failed", 4),
]  # fmt: skip
"""Recipe, folder, and the step at which rank 0 stops with an error; what was stopped is resumed."""


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, tiny: TinyModel) -> Path:
    """What rank 0 of two processes writes, by recipe."""
    folder = tmp_path_factory.mktemp("sharded")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = [one.wait() for one in [start(folder, tiny, rank=rank, port=port) for rank in (0, 1)]]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr + done[1].stderr
    assert not [path for path in (folder / "rank-1").rglob("*") if path.is_file()], "a helper wrote"
    return folder / "rank-0"


def start(folder: Path, model: TinyModel, *, rank: int, port: int) -> Started:
    script = folder / "process.py"
    script.write_text(PROCESS)
    launcher = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return warm().start(
        [str(model.folder), str(folder / f"rank-{rank}")], script=str(script), cwd=Path(__file__).parents[2],
        environment={name: str(value) for name, value in launcher.items()},
    )  # fmt: skip


def alone(name: str, tiny: TinyModel, folder: Path) -> torch.Tensor:
    """The weights of one process's unsharded training in `folder`, which resumes what is there."""
    replace(RECIPES[name], sharding="none").train(tiny, table(), folder, seed=0, tracker=Records())
    return weights(folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lora", "dora", "full", "few"])
def test_shards_train_the_weights_of_one_whole_network(
    name: str, together: Path, tiny: TinyModel, tmp_path: Path
) -> None:
    one, found = alone(name, tiny, tmp_path), weights(together / name)
    assert float((found - one).norm() / one.norm()) < 1e-5
    files = [{path.name for path in folder.iterdir()} for folder in (tmp_path, together / name)]
    assert files[0] == files[1]
    curves = [json.loads((folder / "curve.json").read_text()) for folder in (tmp_path, together / name)]
    for a, b in zip(*curves, strict=True):
        assert b == pytest.approx(a, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["lora", "full"])
def test_one_process_resumes_a_sharded_training(name: str, together: Path, tiny: TinyModel) -> None:
    whole = weights(together / name)
    found = alone(name, tiny, together / f"{name}-left")
    assert float((found - whole).norm() / whole.norm()) < 1e-5


@pytest.mark.slow
def test_a_stopped_training_of_shards_resumes_to_the_same_bytes(together: Path) -> None:
    assert torch.equal(weights(together / "full-stopped"), weights(together / "full"))


@pytest.mark.slow
def test_each_of_two_processes_holds_half_of_the_weights(together: Path) -> None:
    held = json.loads((together / "held.json").read_text())
    assert len(held) == len(STEPS)
    for before, after in held:
        assert after == before / 2


def test_sharding_changes_no_address() -> None:
    assert RECIPES["lora"].recipe == ONE.recipe
    assert RECIPES["full"].recipe == FULL.recipe


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"lora": LoraRecipe(variant="pissa")}, "train.lora.variant"),
        ({"method": "full", "lora": None, "checkpoints": "epoch"}, "train.checkpoints"),
        ({"sharding": "fdsp"}, "train.sharding"),
    ],
)
def test_what_shards_cannot_train_is_named_before_a_model_is_opened(
    settings: dict[str, Any], named: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        FineTune(**{"lora": LORA, "sharding": "fsdp", **settings})
    assert named in str(caught.value)


def test_one_process_cannot_shard(tiny: TinyModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="torchrun"):
        RECIPES["lora"].train(tiny, table(), tmp_path, seed=0, tracker=Records())
    with pytest.raises(ConfigError, match="torchrun"):
        check_training(RECIPES["lora"], tiny, ["train"], plan=False)
    check_training(RECIPES["lora"], tiny, ["select"], plan=False)
    check_training(ONE, tiny, ["train"], plan=True)


def test_a_spread_model_and_a_plan_are_refused(tiny: TinyModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    check_training(RECIPES["lora"], tiny, ["train"], plan=False)
    with pytest.raises(ConfigError, match=r"Plan with train.sharding=none"):
        check_training(RECIPES["lora"], tiny, ["train"], plan=True)
    spread = SimpleNamespace(name="spread", device_map="auto")
    with pytest.raises(ConfigError, match=r"model.device_map"):
        check_training(RECIPES["lora"], cast(Any, spread), ["train"], plan=False)


def test_a_model_that_opens_only_with_its_weights_is_named() -> None:
    class Whole:
        name = "mine"

    with pytest.raises(NaitError, match="mine cannot be opened without its weights"):
        open_unsharded(Whole(), 0)  # type: ignore[arg-type]


assert Stops  # for the script
