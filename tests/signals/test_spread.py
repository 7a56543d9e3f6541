"""Models spread over devices or offloaded give the values of the whole model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import cpu_offload, dispatch_model

from nait.models.anatomy import SITES, device_of
from nait.models.tokens.batches import collate
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import (
    Choice,
    Embedding,
    Features,
    Losses,
    Mean,
    Norms,
    Reading,
    Signal,
    project_on,
)
from tests.families import HIDDEN, LAYERS, network
from tests.signals.test_losses import IDS, ROWS, table

DISK = {"model.embed_tokens": "cpu", "model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk",
        "model.layers.2": "disk", "model.norm": "cpu", "lm_head": "disk"}  # fmt: skip


def everything() -> list[Signal]:
    """Signals of every kind, at every site."""
    v_cld = np.random.default_rng(0).normal(size=(2, LAYERS + 1, HIDDEN)).astype(np.float32)
    asked: list[Signal] = [project_on(Reading(), v_cld), Norms(Reading()), Mean(Reading(feature="mean"))]
    asked += [Features(Reading(site)) for site in SITES]
    return [*asked, Losses("whole"), Losses(), Embedding(), Embedding("last"), Choice(IDS)]


def read(model: Any, asked: list[Signal]) -> list[np.ndarray]:
    with Runner(model, asked) as runner:
        return runner.read(table(), np.arange(len(ROWS)))


def offloaded(model: Any, kind: str, folder: Path) -> Any:
    """The model with offloaded weights: all in memory, or some on disk."""
    if kind == "memory":
        return cpu_offload(model, execution_device=torch.device("cpu"))
    return dispatch_model(model, DISK, main_device="cpu", offload_dir=folder)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_an_offloaded_model_gives_the_same_values(kind: str, tmp_path: Path) -> None:
    whole = read(network("llama"), everything())
    model = offloaded(network("llama"), kind, tmp_path)
    assert any(parameter.device.type == "meta" for parameter in model.parameters())
    assert device_of(model) == "cpu"
    for a, b in zip(whole, read(model, everything()), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_a_pass_over_an_offloaded_model_stops_at_its_depth_and_leaves_no_weights_behind(
    kind: str, tmp_path: Path
) -> None:
    asked: list[Signal] = [Features(Reading(depth=1))]
    model = offloaded(network("llama"), kind, tmp_path)
    before = [parameter.device.type for parameter in model.parameters()]
    np.testing.assert_array_equal(read(model, asked)[0], read(network("llama"), asked)[0])
    assert [parameter.device.type for parameter in model.parameters()] == before


def test_a_forward_pass_keeps_no_activations_for_a_backward_pass() -> None:
    model = network("llama")
    seen: list[bool] = []
    model.get_decoder().register_forward_hook(lambda *_: seen.append(torch.is_grad_enabled()))
    assert any(parameter.requires_grad for parameter in model.parameters())
    read(model, everything())
    assert seen
    assert not any(seen)


def test_a_batch_moves_to_another_device_with_all_its_tensors() -> None:
    batch = collate(table(), np.arange(len(ROWS)), fill_id=0, device="cpu", side="left")
    assert batch.on(torch.device("cpu")) is batch
    moved = batch.on(torch.device("meta"))
    tensors = {name: value for name, value in vars(batch).items() if isinstance(value, torch.Tensor)}
    assert len(tensors) == len(vars(batch)) - 1
    assert {getattr(moved, name).device.type for name in tensors} == {"meta"}
    assert moved.rows is batch.rows
