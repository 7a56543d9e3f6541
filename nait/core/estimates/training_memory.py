"""Training memory: the bytes that a fine-tuning recipe holds throughout training.

Included are weights, gradients, Adam's moments and the bfloat16 copies of autocast. Activations are extra: they
are bounded by `train.device_tokens`, and `gradient_checkpointing` reduces them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FP32, BF16 = 4, 2
MOMENTS = {"adamw": 2 * FP32, "adamw_8bit": 2, "adamw_8bit_stochastic": 2}
"""Bytes of Adam's two moments per trained weight."""
FULL = (("bf16", "adamw"), ("bf16", "adamw_8bit"), ("bf16_weights", "adamw_8bit_stochastic"))
"""Settings for full fine-tuning of a 16-bit checkpoint, most precise first."""


@dataclass(frozen=True)
class Size:
    """The size of a network: parameters, bytes as loaded, and input plus output features of each linear layer."""

    parameters: int
    weight_bytes: int
    linear: Mapping[str, int]


NO_SIZE = Size(0, 0, {})
"""The size of a network that was not loaded."""


def training_bytes(recipe: Mapping[str, Any], size: Size) -> int | None:
    """Bytes that a recipe holds; None for a recipe of another package."""
    if recipe.get("kind") != "fine_tune":
        return None
    moments = MOMENTS[recipe["optimizer"]]
    if recipe["method"] == "lora":
        return size.weight_bytes + adapter_parameters(recipe["lora"], size) * (2 * FP32 + moments)
    weight = BF16 if recipe["precision"] == "bf16_weights" else FP32
    half = size.weight_bytes < FP32 * size.parameters or recipe["precision"] == "bf16"
    casts = BF16 if weight == FP32 and half else 0
    return size.parameters * (2 * weight + moments + casts)


def adapter_parameters(lora: Mapping[str, Any], size: Size) -> int:
    """Parameters of the adapter: r x (inputs + outputs) for each adapted layer."""
    names = lora["target_modules"]
    on = [
        features
        for name, features in size.linear.items()
        if names == "all-linear" or name.rsplit(".", 1)[-1] in _listed(names)
    ]
    return int(lora["r"]) * sum(on)


def _listed(names: str | Sequence[str]) -> Sequence[str]:
    return [names] if isinstance(names, str) else names


def describe(recipe: Mapping[str, Any], size: Size) -> str:
    """A sentence for a plan, with the alternatives for full fine-tuning; empty when the size is unknown."""
    held = training_bytes(recipe, size)
    if held is None:
        return ""
    summary = (
        f"Training holds {bytes_text(held)} of weights, gradients and moments ({size.parameters:,} weights), "
    )
    summary += "activations not counted."
    if recipe["method"] != "full":
        return summary
    ways = []
    for precision, optimizer in FULL:
        other = {**recipe, "precision": precision, "optimizer": optimizer}
        ways.append(
            f"{bytes_text(training_bytes(other, size) or 0)} with precision={precision} optimizer={optimizer}"
        )
    return f"{summary} Full fine-tuning holds {'; '.join(ways)}."


def bytes_text(count: float) -> str:
    """A number of bytes with three digits and a decimal unit, such as "40.4 GB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
