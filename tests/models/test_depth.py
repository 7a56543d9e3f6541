"""Depth and context of a model are read from its config, without opening it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nait.core.errors import ConfigError, ModelError
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


ROPE = {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [4.0]}


@pytest.mark.parametrize(
    "config",
    [
        {"rope_parameters": {**ROPE, "original_max_position_embeddings": 63}},
        {"rope_scaling": {**ROPE, "rope_type": None, "type": "su"}, "original_max_position_embeddings": 63},
        {"text_config": {"rope_parameters": ROPE, "original_max_position_embeddings": 63}},
    ],
)
def test_rows_whose_numbers_would_depend_on_their_batch_are_refused(
    config: dict[str, Any], tmp_path: Path
) -> None:
    config = {key: _without_none(value) for key, value in config.items()}
    with pytest.raises(ConfigError, match=r"longest row of its batch.*Set model\.max_length=63 or less"):
        model(tmp_path, {"max_position_embeddings": 4096, **config})


def _without_none(value: Any) -> Any:
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def test_other_rotary_positions_may_exceed_their_original_length(tmp_path: Path) -> None:
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    assert model(tmp_path, {"max_position_embeddings": 128, "rope_parameters": rope}).max_length == 64
