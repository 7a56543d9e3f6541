"""Laws of equal budgets: subsets of all sizes get the updates, or the tokens, of one share of the pool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.addresses import address
from nait.core.dataset.examples import Pool
from nait.core.dataset.token_table import TokenTable, token_table
from nait.core.errors import ConfigError
from nait.core.estimates.plans import updates
from nait.models.prompts.templates import TextTemplate
from nait.stages.train import for_pool
from nait.testing.tiny_rows import tiny_pool
from nait.training.adapters.lora import LoraRecipe
from nait.training.recipes.fine_tune import FineTune
from nait.training.recipes.no_training import NoTraining
from tests.training.conftest import Records, TinyModel

PLAIN = TextTemplate(prompt="{user}")
RECIPE = FineTune(epochs=3, batch_size=4, learning_rate=0.01, lora=LoraRecipe(r=2))
POOL = 400
"""Rows: a 10 % subset has 40, a 1 % subset 4."""


def subset(share: float) -> TokenTable:
    """Rows of a share of the pool; those of the small subset are longer."""
    draw = np.random.default_rng(0)
    longest = 16 if share < 0.05 else 8
    ids = [draw.integers(2, 48, size=draw.integers(5, longest)).tolist() for _ in range(int(POOL * share))]
    return token_table(ids, [[i >= 2 for i in range(len(row))] for row in ids], [False] * len(ids))


def trained(recipe: FineTune, share: float, tiny: TinyModel, folder: Path) -> Any:
    return recipe.train(tiny, subset(share), folder / str(share), seed=0, tracker=Records())


def test_one_percent_gets_the_updates_of_ten_percent(tiny: TinyModel, tmp_path: Path) -> None:
    epochs = trained(RECIPE, 0.1, tiny, tmp_path / "epochs")
    equal = replace(RECIPE, budget="steps", budget_share=0.1).for_pool(POOL, lambda: 0.0)
    steps = [trained(equal, share, tiny, tmp_path)["steps"] for share in (0.01, 0.1)]
    assert steps == [epochs["steps"]] * 2 == [30, 30]


def test_one_percent_reads_about_the_tokens_of_ten_percent(tiny: TinyModel, tmp_path: Path) -> None:
    length = float(subset(0.1).lengths.mean())
    equal = replace(RECIPE, budget="tokens", budget_share=0.1).for_pool(POOL, lambda: length)
    small, large = (trained(equal, share, tiny, tmp_path)["tokens_seen"] for share in (0.01, 0.1))
    update = 4 * max(int(subset(share).lengths.max()) for share in (0.01, 0.1))
    assert abs(small - large) <= 2 * update
    assert abs(large - 3 * int(subset(0.1).lengths.sum())) <= update


def test_a_derived_number_has_the_address_of_the_same_number_stated() -> None:
    derived = replace(RECIPE, budget="steps").for_pool(POOL, lambda: 0.0)
    assert address(derived.recipe) == address(replace(RECIPE, max_steps=30).recipe)
    assert updates(derived.recipe, 4) == updates(derived.recipe, 40) == 30
    assert "budget" not in RECIPE.recipe
    assert RECIPE.for_pool(POOL, lambda: 0.0) is RECIPE


def test_the_stage_counts_the_rows_and_tokens_of_the_pool(tiny: TinyModel) -> None:
    rows: Pool = tiny_pool()
    for budget in ("steps", "tokens"):
        found = for_pool(replace(RECIPE, budget=budget, budget_share=0.5), rows, model=tiny, template=PLAIN)
        assert isinstance(found, FineTune)
        assert found.max_steps == (3 * -(-(len(rows) // 2) // 4) if budget == "steps" else None)
        assert (found.max_tokens or 0) > 0 or budget == "steps"
    assert for_pool(NoTraining(), rows, model=tiny, template=PLAIN) == NoTraining()


def test_two_ends_and_a_training_without_a_pool_are_refused(tiny: TinyModel, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.budget"):
        replace(RECIPE, budget="steps", max_steps=3)
    with pytest.raises(ConfigError, match="follows from a pool"):
        trained(replace(RECIPE, budget="steps"), 0.01, tiny, tmp_path)
