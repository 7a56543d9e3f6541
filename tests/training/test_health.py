"""Laws of a healthy training: small steps are not rounded away, every update counts, and what fails is named."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.token_table import TokenTable
from nait.training import health
from nait.training.adapters.lora import LoraRecipe
from nait.training.callbacks import rows_read
from nait.training.recipes.fine_tune import FineTune
from nait.training.recipes.schedules import NAMES, scheduler, warmup_updates
from tests.training.conftest import Records, TinyModel

LORA = FineTune(epochs=1, batch_size=4, learning_rate=0.01, lora=LoraRecipe(r=2, alpha=4, dropout=0.0))
FULL = replace(LORA, method="full", lora=None)

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(tiny: TinyModel, rows: TokenTable, tmp_path: Path) -> Run:
    """Trains and gives the facts."""

    def train(recipe: FineTune, dtype: str = "float32") -> dict[str, Any]:
        model = replace(tiny, dtype=dtype)
        return dict(recipe.train(model, rows, tmp_path / "trained", seed=0, tracker=Records()))

    return train


def curve(*losses: float, epochs: float = 1.0) -> list[dict[str, float]]:
    steps = len(losses)
    return [
        {"step": i + 1, "loss": loss, "learning_rate": 1e-4, "epoch": epochs * (i + 1) / steps}
        for i, loss in enumerate(losses)
    ]


def test_full_fine_tuning_of_a_16_bit_checkpoint_keeps_small_steps_by_default(run: Run) -> None:
    slow = replace(FULL, learning_rate=2e-5, epochs=8)
    facts = run(slow, dtype="bfloat16")
    assert facts["saved_share"] > 0.25  # pure bfloat16 weights: 0.07 at most
    assert facts["warnings"] == []


def test_full_fine_tuning_does_not_depend_on_the_checkpoints_dtype_but_for_rounding(run: Run) -> None:
    exact, half = run(FULL), run(FULL, dtype="bfloat16")
    assert half["train_loss"] == pytest.approx(exact["train_loss"], rel=5e-3)


@pytest.mark.parametrize("recipe", [LORA, FULL], ids=["lora", "full"])
def test_a_float16_checkpoint_trains_without_underflow(recipe: FineTune, run: Run) -> None:
    facts = run(recipe, dtype="float16")
    assert facts["saved_share"] > 0.9
    assert math.isfinite(facts["train_loss"])


def test_a_run_of_one_update_trains(run: Run) -> None:
    facts = run(replace(LORA, max_steps=1, batch_size=12))
    assert facts["steps"] == 1
    assert facts["warnings"] == []
    assert facts["saved_share"] > 0.4  # of a fresh LoRA the first update moves B alone


def test_an_adapter_that_is_all_zero_is_a_named_warning(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.optim.lr_scheduler import LambdaLR

    monkeypatch.setattr(
        "nait.training.recipes.schedules.scheduler",
        lambda _name, optimizer, **_: LambdaLR(optimizer, lambda _update: 0.0),
    )
    said = run(LORA)["warnings"]
    assert any("adapter is all zero" in text for text in said)
    assert any("learning rate of 0" in text for text in said)


def test_weights_that_hardly_change_are_a_named_warning(run: Run) -> None:
    facts = run(replace(FULL, learning_rate=1e-12))
    assert facts["trained_share"] < health.LITTLE
    assert any("weights changed. Raise train.learning_rate" in text for text in facts["warnings"])


def test_changes_that_rounding_to_the_checkpoints_dtype_undoes_are_a_named_warning(run: Run) -> None:
    slow = replace(FULL, learning_rate=2e-6)
    half = run(slow, dtype="bfloat16")
    assert half["saved_share"] < 0.5 * half["trained_share"]
    (said,) = [text for text in half["warnings"] if "rounding undid" in text]
    assert "model.dtype=float32" in said
    whole = run(slow)
    assert whole["saved_share"] == whole["trained_share"] > 0.8
    assert not any("rounding" in text for text in whole["warnings"])


def test_a_loss_that_does_not_fall_is_a_named_warning() -> None:
    def said(*losses: float, epochs: float = 1.0) -> list[str]:
        return health.warnings(
            curve(*losses, epochs=epochs),
            rows=1,
            rows_read=1,
            trained_share=1.0,
            saved_share=1.0,
            dtype="float32",
            zero_adapter=False,
        )

    assert said(3, 2, 2, 1, 1, 1) == []
    assert "did not fall: 1 at the beginning, 3 at the end" in said(1, 1, 2, 2, 3, 3)[0]
    assert "did not fall" in said(1, 1, 1, 1, 1, 1)[0]
    assert "did not fall" in said(1, 1, 1, 1, 1, math.nan)[0]
    assert said(1, 3, 0.9, 2.9, 0.8, 2.8, epochs=3) == []  # each epoch reads the same rows
    assert "did not fall: 2 at" in said(1, 3, 0.9, 2.9, 1.5, 2.5, epochs=3)[0]
    assert said(1, 2) == []  # two batches show no trend


def test_the_share_of_changed_weights_is_in_what_training_returns(run: Run, tmp_path: Path) -> None:
    assert run(LORA)["saved_share"] == pytest.approx(1.0, abs=0.01)
    assert len(json.loads((tmp_path / "trained" / "curve.json").read_text())) == 3


@pytest.mark.parametrize(
    ("share", "updates", "warmup"),
    [(0.03, 1, 0), (0.03, 33, 0), (0.03, 34, 2), (0.0, 100, 0), (0.03, 100, 3), (0.5, 2, 1), (0.1, 10, 1)],
)
def test_a_warmup_below_one_update_is_none(share: float, updates: int, warmup: int) -> None:
    assert warmup_updates(share, updates) == warmup


@pytest.mark.parametrize("name", sorted(NAMES))
@pytest.mark.parametrize(("share", "updates"), [(0.03, 1), (0.0, 7), (0.3, 10), (0.9, 10)])
def test_no_update_has_rate_0_and_after_the_warmup_the_rate_is_transformers_own(
    name: str, share: float, updates: int
) -> None:
    warmup = warmup_updates(share, updates)
    ours = rates(lambda optimizer: scheduler(name, optimizer, share=share, updates=updates), updates)
    theirs = rates(lambda optimizer: reference(name, optimizer, warmup, updates), updates)
    assert min(ours) > 0
    assert ours[warmup:] == pytest.approx(theirs[warmup:])
    assert ours[:warmup] == pytest.approx([(k + 1) / (warmup + 1) for k in range(warmup)])


def reference(name: str, optimizer: Any, warmup: int, updates: int) -> Any:
    from transformers import get_scheduler

    return get_scheduler(NAMES[name], optimizer, num_warmup_steps=warmup, num_training_steps=updates)


def rates(make: Callable[[Any], Any], updates: int) -> list[float]:
    """The rate of each update for a full rate of 1."""
    import torch

    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    found = []
    for _ in range(updates):
        found.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        schedule.step()
    return found


def test_bfloat16_weights_without_stochastic_rounding_are_refused() -> None:
    from nait.core.errors import ConfigError

    for wrong in (
        {"method": "full", "precision": "bf16_weights"},
        {"method": "full", "optimizer": "adamw_8bit_stochastic"},
        {"lora": LoraRecipe(), "precision": "bf16_weights", "optimizer": "adamw_8bit_stochastic"},
    ):
        with pytest.raises(ConfigError, match="need each other"):
            FineTune(**wrong)  # type: ignore[arg-type]


def test_stochastic_rounding_keeps_small_steps_in_bfloat16_weights(run: Run) -> None:
    pytest.importorskip("torchao")
    facts = run(
        replace(
            FULL, learning_rate=2e-5, epochs=8, precision="bf16_weights", optimizer="adamw_8bit_stochastic"
        ),
        dtype="bfloat16",
    )
    assert facts["saved_share"] > 0.1


def test_a_training_that_never_saw_some_rows_says_how_many_it_saw(run: Run) -> None:
    assert run(LORA)["warnings"] == []
    found = run(replace(LORA, max_steps=2))
    read, rows = 2 * LORA.batch_size, found["rows"]
    assert 0 < read < rows
    assert found["rows_read"] == read
    (said,) = found["warnings"]
    assert said.startswith(f"Training ended after {read} of {rows} rows: it never saw the others.")


@pytest.mark.parametrize(
    ("steps", "rows", "batch", "read"),
    [
        (1, 296, 128, 128),
        (2, 296, 128, 256),
        (3, 296, 128, 296),
        (4, 296, 128, 424),
        (5, 20, 128, 100),
        (0, 9, 4, 0),
    ],
)
def test_the_last_update_of_an_epoch_reads_the_rows_that_are_left(
    steps: int, rows: int, batch: int, read: int
) -> None:
    assert rows_read(steps, rows, batch) == read


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        (replace(LORA, epochs=0.5, batch_size=64), "read 1 epochs, not train.epochs=0.5"),
        (replace(LORA, epochs=2, batch_size=64), ""),
        (replace(LORA, epochs=0.5, batch_size=1), ""),
        (replace(LORA, max_tokens=1, batch_size=64), "tokens, not train.max_tokens=1"),
        (replace(LORA, max_steps=1, epochs=0.5, batch_size=64), ""),
    ],
    ids=[
        "half an epoch of one update",
        "whole epochs",
        "half of many",
        "fewer tokens than an update",
        "steps",
    ],
)
def test_a_length_that_whole_updates_cannot_have_is_a_named_warning(
    run: Run, recipe: FineTune, said: str
) -> None:
    """Tables name the recipe's epochs: half an epoch of one update has the weights of a whole one."""
    warnings = [text for text in run(recipe)["warnings"] if text.startswith("Training read ")]
    assert said in "".join(warnings)
    assert bool(said) == bool(warnings)
