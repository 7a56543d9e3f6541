"""Health of a training: how much of the trained weights changed, and warnings where little or nothing was learned.

Adam's steps on bfloat16 weights can round to nothing, a warm-up can leave every update at rate 0, a rate can be far
too low or high. Each of these ends in a finished run whose model is the base model. Here they get a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

SAMPLED = 65_536
"""Weights of one tensor that are compared, evenly spread: a copy of a 7B model is not kept."""
LITTLE = 0.1
"""A smaller share of changed weights is a warning. Adam moves every weight that gets a gradient."""
KEPT = 0.5
"""Where rounding to the checkpoint's dtype leaves a smaller part of the changed weights changed, it is a warning."""
FEWEST_UPDATES = 5
"""With fewer updates the loss of single batches says nothing about its trend."""


@dataclass(frozen=True)
class Weights:
    """Sampled values of a network's trained tensors, by parameter name, on the CPU."""

    values: Mapping[str, Any]

    def to(self, dtype: Any) -> Weights:
        """The same values in another dtype; None leaves them as they are."""
        return Weights({name: tensor.to(dtype) for name, tensor in self.values.items()}) if dtype else self

    def changed(self, later: Weights) -> float:
        """The share of the sampled weights, each tensor weighed by its sample, that differ from `later`'s."""
        total = sum(int(tensor.numel()) for tensor in self.values.values())
        differing = sum(int((later.values[name] != tensor).sum()) for name, tensor in self.values.items())
        return differing / total


def sample_weights(network: Any, names: Sequence[str] | None = None) -> Weights:
    """The sampled values of the tensors of these names; without names, of those that require a gradient."""
    import torch

    wanted = None if names is None else set(names)
    found = {}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.requires_grad if wanted is None else name in wanted:
                flat = parameter.detach().flatten()
                stride = -(-flat.numel() // SAMPLED)
                found[name] = flat[::stride].clone().cpu()
    return Weights(found)


def warnings(
    steps: Sequence[Mapping[str, float]],
    *,
    trained_share: float,
    saved_share: float,
    dtype: str,
    zero_adapter: bool,
) -> list[str]:
    """What is wrong with a finished training.

    `steps`: its curve, with `loss` in nats a token, `learning_rate` and `epoch`. `trained_share` of the trained
    weights changed in training, `saved_share` differ from the start once they are saved in `dtype`.
    """
    said = []
    if zero_adapter:
        said.append(
            "The adapter is all zero: the tuned model is the base model. Train for more updates, or raise "
            "train.learning_rate."
        )
    elif trained_share < LITTLE:
        said.append(
            f"{trained_share:.2%} of the trained weights changed. Raise train.learning_rate, or train for more "
            "updates."
        )
    elif saved_share < KEPT * trained_share:
        said.append(
            f"Training changed {trained_share:.0%} of the weights; saved in {dtype}, the checkpoint's dtype, "
            f"{saved_share:.0%} differ from the start: rounding undid the rest, and the evaluated model lacks it. "
            "Set model.dtype=float32, raise train.learning_rate, or train for more updates."
        )
    if all(step["learning_rate"] == 0 for step in steps):
        said.append("Every update had a learning rate of 0: nothing was learned. Lower train.warmup.")
    if len(steps) >= FEWEST_UPDATES:
        first, last = loss_trend(steps)
        if not last < first:
            said.append(
                f"The loss did not fall: {first:.4g} at the beginning, {last:.4g} at the end "
                "(nats a token). Change train.learning_rate, or train for more updates."
            )
    return said


def loss_trend(steps: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """The mean loss of the first and of the last epoch, the same rows; of less than two epochs, of either third."""
    last = math.floor(steps[-1]["epoch"])
    if last >= 2:
        ends = [step for step in steps if step["epoch"] <= last]
        return (
            fmean(step["loss"] for step in ends if step["epoch"] <= 1),
            fmean(step["loss"] for step in ends if step["epoch"] > last - 1),
        )
    third = max(1, len(steps) // 3)
    return fmean(step["loss"] for step in steps[:third]), fmean(step["loss"] for step in steps[-third:])
