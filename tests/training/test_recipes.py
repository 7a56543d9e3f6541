"""Recipes: bad values are named by their config key, and only what decides the result is in the address."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from typing import Any

import pytest

from nait.core.addresses import address
from nait.core.errors import ConfigError
from nait.training.adapters.adapter_files import public_name
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from nait.training.recipes.no_training import NoTraining


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0),
        ("epochs", "three"),
        ("epochs", float("nan")),
        ("max_steps", 0),
        ("learning_rate", -1e-4),
        ("learning_rate", float("inf")),
        ("batch_size", 2.5),
        ("device_tokens", 0),
        ("device_tokens", "all"),
        ("warmup", 1.0),
        ("weight_decay", -0.1),
        ("max_grad_norm", -1),
        ("gradient_checkpointing", "yes"),
        ("deterministic", 1),
        ("precision", "fp8"),
        ("checkpoints", "epochs"),
        ("optimizer", "adam"),
        ("method", "Lora"),
        ("save_seconds", -1),
    ],
)
def test_a_bad_value_is_refused_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        FineTune(**{"lora": LoraRecipe(), key: value})
    assert caught.value.where == f"train.{key}"
    assert caught.value.fix


@pytest.mark.parametrize(("key", "value"), [("r", 0), ("alpha", 0), ("dropout", 1), ("target_modules", [])])
def test_a_bad_lora_value_is_refused_by_its_key(key: str, value: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        LoraRecipe(**{key: value})
    assert caught.value.where == f"train.lora.{key}"


def test_an_unknown_scheduler_is_offered_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'cosine'"):
        FineTune(scheduler="cosin", lora=LoraRecipe())


def test_method_and_lora_must_agree() -> None:
    with pytest.raises(ConfigError, match=r"needs train\.lora"):
        FineTune(method="lora")
    with pytest.raises(ConfigError, match="train=full"):
        FineTune(method="full", lora=LoraRecipe())
    with pytest.raises(ConfigError, match="kept by name"):
        FineTune(method="full", optimizer="adamw_8bit", checkpoints="epoch")


def test_the_recipe_holds_every_field_that_decides_the_result() -> None:
    recipe = FineTune(
        max_tokens=9, quantization="nf4", lora=LoraRecipe(variant="dora", modules_to_save=("head",))
    ).recipe
    free = {"budget", "budget_share"}  # they become max_steps or max_tokens
    free |= {"device_tokens", "gradient_checkpointing", "deterministic", "save_seconds", "sharding"}
    assert {field.name for field in dataclasses.fields(FineTune)} == (
        set(recipe) - {"kind", "version"}
    ) | free
    assert set(recipe["lora"]) == {field.name for field in dataclasses.fields(LoraRecipe)}


def test_a_wrong_number_of_tokens_has_a_message_that_names_auto() -> None:
    with pytest.raises(
        ConfigError, match=r"train\.device_tokens: 'all' is not a whole number. Give auto, or 1"
    ):
        FineTune(device_tokens="all", lora=LoraRecipe())  # type: ignore[arg-type]


def test_equal_recipes_have_one_address_however_they_are_written() -> None:
    one = FineTune(epochs=3, weight_decay=0, lora=LoraRecipe(alpha=32, target_modules=["v_proj", "q_proj"]))
    two = FineTune(
        epochs=3.0, weight_decay=0.0, lora=LoraRecipe(alpha=32.0, target_modules=("q_proj", "v_proj"))
    )
    assert address(one.recipe) == address(two.recipe)
    assert address(one.recipe) != address(dataclasses.replace(one, epochs=2).recipe)


@pytest.mark.parametrize("option", ["lora", "full", "none"])
def test_each_option_builds_what_its_file_says(option: str) -> None:
    from hydra import compose, initialize_config_module
    from hydra.utils import instantiate

    with initialize_config_module("nait.conf", version_base="1.3"):
        config = compose("run", overrides=[f"train={option}"]).train
    built = instantiate(config)
    if option == "none":
        assert built == NoTraining()
        return
    assert built.method == option
    names = [field.name for field in dataclasses.fields(FineTune)]
    assert [key for key in config if key != "_target_"] == names


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("meta-llama/Llama-3.1-8B", "meta-llama/Llama-3.1-8B"),
        ("tiny", "tiny"),
        ("/home/me/models/tiny", "tiny"),
        ("./models/tiny", "tiny"),
        ("~/tiny", "tiny"),
        ("a/b/c", "c"),
    ],
)
def test_a_public_name_is_a_hub_id_or_a_paths_last_part(name: str, public: str) -> None:
    assert public_name(name) == public


def test_importing_the_rooms_opens_nothing_heavy() -> None:
    code = (
        "import sys, nait.training.recipes.fine_tune, nait.tracking.trackers\n"
        "sys.exit(bool({'torch', 'transformers', 'peft', 'wandb'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
