"""Laws of openings: tensors that a network does not use are told by every run of the model, opened or not."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from nait.models.loading import LocalModel
from nait.stages.checks.opened_models import model_warnings
from nait.store import Store
from tests.families import save


def test_unused_tensors_are_reported_again_by_a_run_that_opens_no_model(tmp_path: Path) -> None:
    folder, store = save(tmp_path / "model"), Store(tmp_path / "store")
    file = folder / "model.safetensors"
    save_file({**load_file(file), "vision.patch.weight": torch.ones(4)}, file, metadata={"format": "pt"})
    model = LocalModel(str(folder), device="cpu", max_length=64)
    assert model_warnings(model, store) == []  # never opened: nothing is known
    model.load_network()
    said = model_warnings(model, store)
    assert said == ["Model model: the checkpoint's vision.patch.weight is not used by LlamaForCausalLM."]
    again = LocalModel(str(folder), device="cpu", max_length=64)
    assert model_warnings(again, store) == said


def test_a_model_whose_tensors_are_all_used_has_no_warning(tmp_path: Path) -> None:
    model = LocalModel(str(save(tmp_path / "model")), device="cpu", max_length=64)
    model.load_network()
    assert model_warnings(model, Store(tmp_path / "store")) == []
