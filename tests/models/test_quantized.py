"""Laws of models in 4 bits. bitsandbytes and the GPU are replaced: only what transformers is asked for is tested."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from nait.core.addresses import address
from nait.core.errors import ConfigError
from nait.models.devices.quantized_network import check_quantization, open_quantized
from nait.models.loading import LocalModel
from nait.nano.pools import nano_model
from nait.runs.job_checks import check_training
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune

QLORA = FineTune(quantization="nf4", lora=LoraRecipe())


def test_the_config_of_4_bits_reaches_from_pretrained(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    versions = importlib.metadata.version

    def opened(folder: str, **options: Any) -> Any:
        asked.update(options)
        network = torch.nn.Linear(1, 1)
        return network, {"missing_keys": [], "unexpected_keys": [], "mismatched_keys": []}

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", opened)
    monkeypatch.setattr(
        importlib.metadata, "version", lambda name: "0.49" if name == "bitsandbytes" else versions(name)
    )
    open_quantized(LocalModel(nano_model().path, device="cpu"))
    config = asked["quantization_config"]
    assert config.load_in_4bit
    assert (config.bnb_4bit_quant_type, config.bnb_4bit_use_double_quant) == ("nf4", True)
    assert config.bnb_4bit_compute_dtype == asked["dtype"] == torch.bfloat16
    assert asked["device_map"] == {"": "cpu"}
    assert asked["use_safetensors"]
    assert asked["local_files_only"]


@pytest.mark.parametrize(
    ("package", "gpu", "fix"), [(None, True, r"nait\[qlora\]"), (object(), False, "CUDA build of torch")]
)
def test_what_4_bits_lack_here_is_named_before_a_model_is_opened(
    package: Any, gpu: bool, fix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find: Callable[..., Any] = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *given: package if name == "bitsandbytes" else find(name, *given)
    )  # fmt: skip
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    for check in (check_quantization, lambda: check_training(QLORA, _model(), ["train"], plan=True)):
        with pytest.raises(ConfigError, match=fix):
            check()
    check_training(QLORA, _model(), ["select"], plan=False)


def _model() -> Any:
    return SimpleNamespace(name="other")


def test_a_model_that_cannot_be_quantised_is_named() -> None:
    with pytest.raises(ConfigError, match="other cannot be quantised"):
        open_quantized(_model())


def test_qlora_is_another_recipe_than_lora() -> None:
    plain = FineTune(lora=LoraRecipe())
    assert "quantization" not in plain.recipe
    assert address(QLORA.recipe) != address(plain.recipe)


@pytest.mark.parametrize(
    "settings",
    [
        {"lora": LoraRecipe(variant="pissa")},
        {"lora": None, "method": "full"},
        {"lora": LoraRecipe(), "sharding": "fsdp"},
    ],
)
def test_what_4_bits_cannot_be_combined_with_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"train\.quantization"):
        FineTune(quantization="nf4", **settings)


def test_the_option_qlora_sets_what_differs_from_lora() -> None:
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate

    with initialize_config_module("nait.conf", version_base="1.3"):
        built, plain = (
            instantiate(compose("run", overrides=[f"train={name}"]).train) for name in ("qlora", "lora")
        )
    assert built.recipe == {**plain.recipe, "quantization": "nf4"}
    assert built.gradient_checkpointing
