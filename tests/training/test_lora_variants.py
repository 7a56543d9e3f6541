"""LoRA's relatives: each trains, is saved, and gives the trained network's outputs on the original base again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import ConfigError, ModelError
from nait.core.estimates.plans import updates
from nait.training.adapters.adapted_models import load_adapted
from nait.training.adapters.adapter_files import ADAPTER_WEIGHTS, save
from nait.training.adapters.lora import LoraRecipe, attach
from nait.training.recipes.fine_tune import FineTune
from nait.training.updates.update_gradients import UpdateGradients
from tests.training.conftest import Records

VARIANTS = ("lora", "dora", "rslora", "pissa")
IDS = torch.arange(2, 12)[None]


def logits(network: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = network.eval()(IDS).logits
    return found


def trained(network: Any, rows: TokenTable) -> Any:
    """The network after three steps of plain gradient descent."""
    update = UpdateGradients(network, rows, device_tokens=64)
    parameters = [one for one in network.parameters() if one.requires_grad]
    for step in range(3):
        update(range(5), step=step)
        with torch.no_grad():
            for parameter in parameters:
                parameter -= 0.5 * parameter.grad
                parameter.grad = None
    return network


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_saved_adapter_gives_the_trained_network_on_the_original_base(
    variant: Any, tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    base = logits(tiny.load_network())
    network = attach(tiny.load_network(), LoraRecipe(r=2, dropout=0.0, variant=variant))
    torch.testing.assert_close(logits(network), base, atol=1e-5, rtol=0)
    wanted = logits(trained(network, rows))
    assert float((wanted - base).abs().max()) > 1e-2
    save(network, tmp_path, base="base")
    apart, _ = load_adapted(tiny, tmp_path)
    torch.testing.assert_close(logits(apart), wanted, atol=1e-5, rtol=0)
    merged, _ = load_adapted(tiny, tmp_path, merge="auto")
    assert not any("lora_" in name for name, _ in merged.named_parameters())
    torch.testing.assert_close(logits(merged), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_module_that_is_trained_whole_is_saved_in_fp32(
    dtype: str, tiny: Any, rows: TokenTable, tmp_path: Path
) -> None:
    recipe = FineTune(
        max_steps=2, batch_size=4, learning_rate=0.05, warmup=0.0,
        lora=LoraRecipe(r=2, modules_to_save=("lm_head",)),
    )  # fmt: skip
    model = replace(tiny, dtype=dtype)
    recipe.train(model, rows, tmp_path, seed=0, tracker=Records())
    saved = load_file(tmp_path / ADAPTER_WEIGHTS)
    (name,) = [name for name in saved if "lm_head" in name]
    before = tiny.load_network().lm_head.weight.detach()
    assert saved[name].dtype == torch.float32
    assert float((saved[name] - before).abs().min()) > 0, "a weight did not move"
    network, _ = load_adapted(model, tmp_path)
    found = network.get_base_model().get_output_embeddings().weight.float()
    torch.testing.assert_close(found, saved[name], atol=1e-2, rtol=1e-2)


def test_modules_to_save_must_exist(tiny: Any) -> None:
    with pytest.raises(ModelError, match=r"modules_to_save: the model has no module 'head'"):
        attach(tiny.load_network(), LoraRecipe(modules_to_save=("head",)))


def test_the_recipe_of_plain_lora_is_as_before() -> None:
    assert set(LoraRecipe().recipe) == {"r", "alpha", "dropout", "target_modules"}
    assert LoraRecipe(variant="dora").recipe["variant"] == "dora"
    with pytest.raises(ConfigError, match=r"train\.lora\.variant"):
        LoraRecipe(variant="lore")  # type: ignore[arg-type]


def test_pissa_trains_without_dropout_unless_it_is_given(tiny: Any, rows: TokenTable, tmp_path: Path) -> None:
    """At the start, a PiSSA in training mode is the model itself: no part of its weights is dropped."""
    assert [LoraRecipe(variant=one).rate for one in VARIANTS] == [0.05, 0.05, 0.05, 0.0]  # type: ignore[arg-type]
    assert LoraRecipe(variant="pissa", dropout=0.05).recipe["dropout"] == 0.05
    torch.manual_seed(0)
    base = logits(tiny.load_network())
    network = attach(tiny.load_network(), LoraRecipe(r=2, variant="pissa")).train()
    with torch.no_grad():
        torch.testing.assert_close(network(IDS).logits, base, atol=1e-5, rtol=0)
    recipe = FineTune(max_steps=1, batch_size=4, lora=LoraRecipe(r=2, variant="pissa"))
    damaging = replace(recipe, weight_decay=0.1, lora=LoraRecipe(r=2, variant="pissa", dropout=0.2))
    for one, keys in ((recipe, []), (damaging, ["train.lora.dropout=0.2", "train.weight_decay=0.1"])):
        facts = one.train(tiny, rows, tmp_path, seed=0, tracker=Records())
        assert [text.split()[0] for text in facts["warnings"] if "pissa" in text] == keys


def test_subsets_of_all_sizes_read_about_as_many_tokens(tiny: Any, rows: TokenTable, tmp_path: Path) -> None:
    recipe = FineTune(max_tokens=400, batch_size=4, learning_rate=0.01, lora=LoraRecipe(r=2))
    facts = recipe.train(tiny, rows, tmp_path, seed=0, tracker=Records())
    length = rows.lengths.mean()
    assert facts["steps"] == updates(recipe.recipe, len(rows), tokens_per_row=length)
    assert abs(facts["tokens_seen"] - 400) < 4 * rows.lengths.max()
    assert "max_tokens" not in FineTune(lora=LoraRecipe()).recipe
    with pytest.raises(ConfigError, match=r"train\.max_tokens: both end the training"):
        replace(recipe, max_steps=3)
