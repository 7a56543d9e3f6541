"""Checks of a fine-tuning recipe: of each setting, and of settings together."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice, check_flag, check_number, check_whole
from nait.training.recipes import schedules
from nait.training.updates.device_tokens import AUTO

if TYPE_CHECKING:
    from nait.training.recipes.fine_tune import FineTune

METHODS = ("lora", "full")
PRECISIONS = ("model", "bf16", "bf16_weights")
KEEPS = ("none", "epoch")
SHARDINGS = ("none", "fsdp")
QUANTIZATIONS = ("none", "nf4")
BUDGETS = ("epochs", "steps", "tokens")
STOCHASTIC = "adamw_8bit_stochastic"
# Our name -> transformers' name. The stochastic optimiser is passed to the trainer as a class.
OPTIMIZERS = {"adamw": "adamw_torch_fused", "adamw_8bit": "adamw_bnb_8bit", STOCHASTIC: "adamw_torch"}
PACKAGES = {"adamw_8bit": "bitsandbytes", STOCHASTIC: "torchao"}


def check_settings(recipe: FineTune) -> None:
    """Raises: ConfigError for a value that is not allowed, or for settings that exclude each other."""
    check_choice("train.method", recipe.method, METHODS)
    check_number("train.epochs", recipe.epochs, "(0, inf)")
    if recipe.max_steps is not None:
        check_whole("train.max_steps", recipe.max_steps, least=1)
    if recipe.max_tokens is not None:
        check_whole("train.max_tokens", recipe.max_tokens, least=1)
    check_choice("train.budget", recipe.budget, BUDGETS)
    check_number("train.budget_share", recipe.budget_share, "(0, 1]")
    check_number("train.learning_rate", recipe.learning_rate, "(0, inf)")
    check_whole("train.batch_size", recipe.batch_size, least=1)
    if recipe.device_tokens != AUTO:
        check_whole("train.device_tokens", recipe.device_tokens, least=1, fix="Give auto, or 1 or more.")
    check_choice("train.scheduler", recipe.scheduler, schedules.NAMES)
    check_number("train.warmup", recipe.warmup, "[0, 1)")
    check_number("train.weight_decay", recipe.weight_decay, "[0, inf)")
    check_number("train.max_grad_norm", recipe.max_grad_norm, "[0, inf)")
    check_choice("train.optimizer", recipe.optimizer, OPTIMIZERS)
    check_choice("train.precision", recipe.precision, PRECISIONS)
    check_flag("train.gradient_checkpointing", recipe.gradient_checkpointing)
    check_flag("train.deterministic", recipe.deterministic)
    check_choice("train.checkpoints", recipe.checkpoints, KEEPS)
    check_number("train.save_seconds", recipe.save_seconds, "[0, inf)")
    check_choice("train.sharding", recipe.sharding, SHARDINGS)
    check_choice("train.quantization", recipe.quantization, QUANTIZATIONS)
    _check_together(recipe)
    if recipe.sharding == "fsdp":
        _check_sharding(recipe)


def _check_together(recipe: FineTune) -> None:
    if (recipe.method == "lora") != (recipe.lora is not None):
        raise ConfigError(
            f"method={recipe.method} {'needs' if recipe.method == 'lora' else 'does not use'} train.lora",
            where="train.method",
            fix=f"Choose train={recipe.method}.",
        )
    if (recipe.precision == "bf16_weights") != (recipe.optimizer == STOCHASTIC) or (
        recipe.optimizer == STOCHASTIC and recipe.method != "full"
    ):
        raise ConfigError(
            f"bfloat16 weights, {STOCHASTIC} and method=full need each other",
            where="train.precision",
            fix=f"Set train=full train.precision=bf16_weights train.optimizer={STOCHASTIC}, or none of them.",
        )
    if recipe.quantization != "none" and (recipe.lora is None or recipe.lora.variant == "pissa"):
        raise ConfigError(
            "a base in 4 bits is not trained itrecipe, and its weights cannot be factorised",
            where="train.quantization",
            fix="Set train.method=lora with train.lora.variant=lora, or train.quantization=none.",
        )
    if recipe.budget != "epochs" and (recipe.max_steps or recipe.max_tokens):
        raise ConfigError(
            f"{recipe.budget} follows from the pool, and max_steps or max_tokens states it",
            where="train.budget",
            fix="Set train.budget=epochs, or train.max_steps=null train.max_tokens=null.",
        )
    if recipe.max_steps is not None and recipe.max_tokens is not None:
        raise ConfigError("both end the training", where="train.max_tokens", fix="Set train.max_steps=null.")
    if package := PACKAGES.get(recipe.optimizer):
        _check_eight_bits(recipe, package)


def _check_sharding(recipe: FineTune) -> None:
    """Raises: ConfigError for settings that a sharded training does not support."""
    full, variant = recipe.method == "full", recipe.lora.variant if recipe.lora else ""
    for key, value, whole, present in (
        (
            "train.optimizer",
            recipe.optimizer,
            "rounds blocks of whole weights",
            full and recipe.optimizer != "adamw",
        ),
        (
            "train.checkpoints",
            recipe.checkpoints,
            "saves whole moments",
            full and recipe.checkpoints == "epoch",
        ),
        ("train.lora.variant", variant, "factorises whole weights", variant == "pissa"),
        ("train.quantization", recipe.quantization, "packs whole weights", recipe.quantization != "none"),
    ):
        if present:
            raise ConfigError(
                f"{value} {whole}, and with train.sharding=fsdp a process has a share of them",
                where=key,
                fix="Set train.sharding=none, or another value here.",
            )


def _check_eight_bits(recipe: FineTune, package: str) -> None:
    if recipe.checkpoints == "epoch":
        raise ConfigError(
            "8-bit moments cannot be kept by name",
            where="train.checkpoints",
            fix="Use train.optimizer=adamw.",
        )
    if importlib.util.find_spec(package) is None:
        raise ConfigError(
            f"{recipe.optimizer} needs {package}",
            where="train.optimizer",
            fix=f"pip install {package}, or use train.optimizer=adamw.",
        )
