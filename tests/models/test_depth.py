"""Depth and context of a model are read from its config, without opening it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from nait.core.errors import ModelError
from nait.models.loading import LocalModel
from tests.families import CONFIGS


def model(folder: Path, config: dict[str, object]) -> LocalModel:
    save_file({"lm_head.weight": torch.zeros(1)}, folder / "model.safetensors")
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps(config))
    return LocalModel(str(folder), max_length=64)


@pytest.mark.parametrize("family", CONFIGS)
def test_the_depth_of_every_family_is_found(family: str, tmp_path: Path) -> None:
    import transformers

    name, options = CONFIGS[family]
    config = getattr(transformers, name)(**options)
    assert model(tmp_path, config.to_dict()).depth() == config.num_hidden_layers


def test_the_depth_is_the_language_models(tmp_path: Path) -> None:
    parts = {"vision_config": {"num_hidden_layers": 27}, "text_config": {"num_hidden_layers": 34}}
    assert model(tmp_path, parts).depth() == 34


@pytest.mark.parametrize("config", [{}, {"num_hidden_layers": None}, {"n_layer": 0}, {"text_config": None}])
def test_a_config_without_depth_is_refused_with_advice(config: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"model\.path=.*no number of blocks.*Add num_hidden_layers"):
        model(tmp_path, config).depth()


def test_the_context_is_the_language_models(tmp_path: Path) -> None:
    parts = {"vision_config": {"max_position_embeddings": 9}, "text_config": {"max_position_embeddings": 99}}
    assert model(tmp_path, {**parts, "max_position_embeddings": 9999}).context() == 99
