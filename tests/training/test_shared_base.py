"""Laws of the shared base model: a LoRA training and an adapter's evaluation leave it bit-equal for the next job."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nait.core.dataset.token_table import TokenTable
from nait.models.devices.open_networks import borrow, free
from nait.training.adapters.adapted_models import load_adapted, release
from nait.training.adapters.lora import LoraRecipe
from nait.training.adapters.merging import Merge
from nait.training.recipes.fine_tune import FineTune
from tests.training.conftest import Records

RECIPE = FineTune(max_steps=2, batch_size=4, learning_rate=0.05, warmup=0.0, lora=LoraRecipe(r=2))


@pytest.fixture(autouse=True)
def _none_is_kept() -> Iterator[None]:
    free()
    yield
    free()


def weights(network: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def assert_unchanged(network: Any, before: dict[str, torch.Tensor]) -> None:
    after = network.state_dict()
    assert set(after) == set(before)
    assert all(after[name].equal(before[name]) for name in before)
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_a_lora_training_returns_the_base_as_it_was(
    checkpointing: bool, tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    base = borrow(tiny)
    before = weights(base)
    release(base)
    recipe = replace(RECIPE, gradient_checkpointing=checkpointing)
    recipe.train(tiny, rows, tmp_path, seed=0, tracker=Records())
    network = borrow(tiny)
    assert network is base
    assert_unchanged(network, before)


def test_a_full_training_gives_the_next_job_a_new_base(tiny: Any, rows: TokenTable, tmp_path: Path) -> None:
    base = borrow(tiny)
    before = weights(base)
    release(base)
    full = FineTune(method="full", max_steps=2, batch_size=4, learning_rate=0.01, warmup=0.0)
    full.train(tiny, rows, tmp_path, seed=0, tracker=Records())
    network = borrow(tiny)
    assert network is not base
    assert_unchanged(network, before)


def test_two_trainings_on_one_base_give_the_bytes_of_two_on_their_own(
    tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    adapters = []
    for name, alone in (("a", True), ("b", False), ("c", True)):
        if alone:
            free()
        RECIPE.train(tiny, rows, tmp_path / name, seed=3, tracker=Records())
        adapters.append((tmp_path / name / "adapter_model.safetensors").read_bytes())
    assert adapters[0] == adapters[1] == adapters[2]


@pytest.mark.parametrize("merge", [False, "auto", True])
def test_removing_an_adapter_restores_the_base_model(
    merge: Merge, tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    RECIPE.train(tiny, rows, tmp_path, seed=0, tracker=Records())
    base = borrow(tiny)
    before = weights(base)
    release(base)
    adapted, _ = load_adapted(tiny, tmp_path, merge=merge)
    if merge:
        assert any(not tensor.equal(before[name]) for name, tensor in adapted.state_dict().items())
    with torch.inference_mode():
        adapted(torch.arange(2, 12)[None])
    release(adapted)
    network = borrow(tiny)
    assert network is base
    assert_unchanged(network, before)
