"""What is kept of each epoch: the adapter, Adam's moments by parameter name, the mean learning rate."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.token_table import TokenTable
from nait.training.adapters.adapter_files import ADAPTER_WEIGHTS
from nait.training.adapters.lora import LoraRecipe, attach
from nait.training.callbacks import mean_rate
from nait.training.recipes.fine_tune import FineTune
from tests.training.conftest import Records

RECIPE = FineTune(epochs=2, batch_size=4, learning_rate=0.01, checkpoints="epoch", lora=LoraRecipe(r=2))


@pytest.fixture(scope="module")
def folder(tiny: Any, rows: TokenTable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("epochs")
    RECIPE.train(tiny, rows, place, seed=0, tracker=Records())
    return place


def test_the_last_epochs_adapter_is_the_final_one(folder: Path) -> None:
    assert sorted(path.name for path in (folder / "epochs").iterdir()) == ["1", "2"]
    last, final = folder / "epochs" / "2" / ADAPTER_WEIGHTS, folder / ADAPTER_WEIGHTS
    assert last.read_bytes() == final.read_bytes()
    assert (folder / "epochs" / "1" / ADAPTER_WEIGHTS).read_bytes() != final.read_bytes()


def test_each_trained_parameter_has_both_moments_in_its_shape(folder: Path, tiny: Any) -> None:
    from safetensors.torch import load_file

    network, _ = tiny.load()
    adapted = attach(network, LoraRecipe(r=2))
    shapes = {name: p.shape for name, p in adapted.named_parameters() if p.requires_grad}
    for n in ("1", "2"):
        moments = load_file(folder / "epochs" / n / "adam.safetensors")
        assert set(moments) == {f"{name}.{kind}" for name in shapes for kind in ("exp_avg", "exp_avg_sq")}
        for key, tensor in moments.items():
            assert tensor.shape == shapes[key.removesuffix("_sq").removesuffix(".exp_avg")]
        assert any(float(tensor.abs().sum()) > 0 for tensor in moments.values())


def test_an_epochs_rate_is_the_mean_over_its_steps(folder: Path) -> None:
    curve = json.loads((folder / "curve.json").read_text(encoding="utf-8"))
    for n in (1, 2):
        facts = json.loads((folder / "epochs" / str(n) / "epoch.json").read_text(encoding="utf-8"))
        rates = [row["learning_rate"] for row in curve[3 * n - 3 : 3 * n]]
        assert facts["learning_rate"] == pytest.approx(sum(rates) / 3)
        assert facts["steps"] == 3 * n
        assert (facts["beta1"], facts["beta2"], facts["eps"]) == (0.9, 0.999, 1e-8)


def test_mean_rate_by_hand() -> None:
    steps = [
        {"learning_rate": rate, "epoch": epoch} for rate, epoch in ((1, 0.5), (2, 1.0), (5, 1.5), (9, 2.0))
    ]
    assert (mean_rate(steps, 1), mean_rate(steps, 2)) == (1.5, 7.0)
