"""Laws of training memory: bytes a weight by what is kept of it, and what a plan says of the ways to keep less."""

from __future__ import annotations

import pytest

from nait.core.estimates.training_memory import Size, adapter_parameters, describe, training_bytes
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune

SEVEN, THIRTEEN = 6_738_415_616, 13_015_864_320
"""Parameters of Llama-2-7B and Llama-2-13B."""


def half(parameters: int) -> Size:
    return Size(parameters, 2 * parameters, {"layers.0.q_proj": 8192, "layers.0.up_proj": 15_104})


def recipe(**changes: object) -> dict[str, object]:
    return {**FineTune(method="full").recipe, **changes}


@pytest.mark.parametrize(
    ("precision", "optimizer", "bytes_a_weight"),
    [
        ("model", "adamw", 4 + 4 + 8 + 2),
        ("bf16", "adamw_8bit", 4 + 4 + 2 + 2),
        ("bf16_weights", "adamw_8bit_stochastic", 2 + 2 + 2),
    ],
)
def test_full_fine_tuning_holds_weights_gradients_moments_and_casts(
    precision: str, optimizer: str, bytes_a_weight: int
) -> None:
    size = half(SEVEN)
    assert training_bytes(recipe(precision=precision, optimizer=optimizer), size) == bytes_a_weight * SEVEN


def test_what_fits_80_gb_is_bfloat16_weights_at_7b_and_13b_and_nothing_more_exact() -> None:
    fits = {
        (name, precision): (
            training_bytes(recipe(precision=precision, optimizer=optimizer), half(count)) or 0
        )
        < 80e9
        for name, count in (("7B", SEVEN), ("13B", THIRTEEN))
        for precision, optimizer in (("bf16", "adamw_8bit"), ("bf16_weights", "adamw_8bit_stochastic"))
    }
    assert fits == {
        ("7B", "bf16"): False,
        ("7B", "bf16_weights"): True,
        ("13B", "bf16"): False,
        ("13B", "bf16_weights"): True,
    }


def test_a_float32_checkpoint_has_no_casts() -> None:
    assert training_bytes(recipe(), Size(10, 40, {})) == 10 * 16
    assert training_bytes(recipe(precision="bf16"), Size(10, 40, {})) == 10 * 18


def test_lora_holds_the_base_as_it_is_and_fp32_adapters_on_the_named_layers() -> None:
    lora = LoraRecipe(r=16)
    size = half(SEVEN)
    assert adapter_parameters(lora.recipe, size) == 16 * (8192 + 15_104)
    assert adapter_parameters(LoraRecipe(r=2, target_modules=["q_proj"]).recipe, size) == 2 * 8192
    held = training_bytes(FineTune(lora=lora).recipe, size)
    assert held == 2 * SEVEN + 16 * (8192 + 15_104) * 16


def test_a_plan_names_the_other_ways_of_full_fine_tuning_and_knows_no_foreign_recipe() -> None:
    said = describe(recipe(), half(SEVEN))
    assert "121 GB" in said
    assert "80.9 GB with precision=bf16 optimizer=adamw_8bit" in said
    assert "40.4 GB with precision=bf16_weights" in said
    assert "activations not counted" in said
    assert describe({"kind": "another"}, half(SEVEN)) == ""
