"""Training health: the share of trained weights that changed, and warnings when the model learned little.

Updates of bfloat16 weights can round to zero, a warm-up can leave every update at learning rate 0, and a learning
rate can be far too low or high. Such runs finish without an error, with a model that equals the base model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nait.models.devices.sharded_network import local_part

SAMPLED = 65_536
"""At most this many weights of each tensor, evenly spaced, are compared: a copy of all would take memory."""
LITTLE = 0.1
"""A warning appears when a smaller share of the weights changed. Adam moves every weight that has a gradient."""
KEPT = 0.5
"""A warning appears when rounding to the checkpoint's dtype keeps a smaller share of the changes."""
FEWEST_UPDATES = 5
"""With fewer updates, the losses of single batches show no trend."""
EXACT = 0.1
"""A warning appears when whole updates read a larger share more, or less, than the recipe asks for."""


@dataclass(frozen=True)
class Weights:
    """Sampled values of trained tensors, by parameter name, on the CPU."""

    values: Mapping[str, Any]

    def to(self, dtype: Any) -> Weights:
        """The same values in another dtype; None keeps the dtype."""
        return Weights({name: tensor.to(dtype) for name, tensor in self.values.items()}) if dtype else self

    def changed(self, later: Weights) -> float:
        """The share of all sampled weights that differ from `later`'s."""
        total = sum(int(tensor.numel()) for tensor in self.values.values())
        differing = sum(int((later.values[name] != tensor).sum()) for name, tensor in self.values.items())
        return differing / total


def sample_weights(network: Any, names: Sequence[str] | None = None) -> Weights:
    """Sampled values of the tensors with these names; by default, of those that require a gradient.

    Of a sharded tensor, values of this process's part.
    """
    import torch

    wanted = None if names is None else set(names)
    found = {}
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.requires_grad if wanted is None else name in wanted:
                flat = local_part(parameter.detach()).flatten()
                stride = -(-flat.numel() // SAMPLED)
                found[name] = flat[::stride].clone().cpu()
    return Weights(found)


def warnings(
    steps: Sequence[Mapping[str, float]],
    *,
    rows: int,
    rows_read: int,
    trained_share: float,
    saved_share: float,
    dtype: str,
    zero_adapter: bool,
) -> list[str]:
    """Warnings about a finished training.

    `steps`: its curve, with `loss` in nats per token, `learning_rate` and `epoch`. `rows_read`: rows of all updates,
    repeats included. `trained_share`: the share of the
    trained weights that changed. `saved_share`: the share that still differs from the start once saved in `dtype`.
    """
    found = []
    if zero_adapter:
        found.append(
            "The adapter is all zero: the tuned model is the base model. Train for more updates, or raise "
            "train.learning_rate."
        )
    elif trained_share < LITTLE:
        found.append(
            f"{trained_share:.2%} of the trained weights changed. Raise train.learning_rate, or train for more "
            "updates."
        )
    elif saved_share < KEPT * trained_share:
        found.append(
            f"Training changed {trained_share:.0%} of the weights; saved in {dtype}, the checkpoint's dtype, "
            f"{saved_share:.0%} differ from the start: rounding undid the rest, and the evaluated model lacks it. "
            "Set model.dtype=float32, raise train.learning_rate, or train for more updates."
        )
    if rows_read < rows:
        found.append(
            f"Training ended after {rows_read} of {rows} rows: it never saw the others. Raise "
            "train.max_steps, or set train.epochs=1 or more."
        )
    if all(step["learning_rate"] == 0 for step in steps):
        found.append("Every update had a learning rate of 0: nothing was learned. Lower train.warmup.")
    if len(steps) >= FEWEST_UPDATES:
        first, last = loss_trend(steps)
        if not last < first:
            found.append(
                f"The loss did not fall: {first:.4g} at the beginning, {last:.4g} at the end "
                "(nats a token). Change train.learning_rate, or train for more updates."
            )
    return found


def weight_warnings(*, dropout: float, weight_decay: float) -> list[str]:
    """Warnings for settings that damage the model's own weights where these are a part of the adapter (PiSSA)."""
    held = "the adapter holds the largest directions of the model's own weights (train.lora.variant=pissa)"
    effects = (
        ("train.lora.dropout", dropout, "drops a part of them at random in each update"),
        ("train.weight_decay", weight_decay, "shrinks them"),
    )
    return [f"{key}={value:g} {effect}: {held}. Set {key}=0." for key, value, effect in effects if value]


def length_warnings(
    facts: Mapping[str, Any], *, epochs: float | None, max_tokens: int | None, batch_size: int
) -> list[str]:
    """A warning if the training read far more, or less, than the epochs or tokens that the recipe names.

    Tables name the recipe. Few rows are few updates, and half an epoch of one update is a whole one.

    `epochs`, `max_tokens`: what ends the training; None if it does not. `facts`: what the training read.
    """
    if max_tokens is not None:
        asked, read, key = float(max_tokens), float(facts["tokens_seen"]), f"train.max_tokens={max_tokens}"
        shown = f"{facts['tokens_seen']} tokens"
    elif epochs is not None:
        asked, read, key = epochs, facts["rows_read"] / facts["rows"], f"train.epochs={epochs:g}"
        shown = f"{read:.3g} epochs"
    else:
        return []
    if abs(read / asked - 1) <= EXACT:
        return []
    return [
        f"Training read {shown}, not {key}: it ends with a whole update of train.batch_size={batch_size} rows, "
        f"and the {facts['rows']} rows took {facts['steps']}. Lower train.batch_size, or name the length by "
        "train.max_steps."
    ]


def loss_trend(steps: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    """Mean losses of the first and last epoch; of the first and last third of the steps below two epochs."""
    last = math.floor(steps[-1]["epoch"])
    if last >= 2:
        ends = [step for step in steps if step["epoch"] <= last]
        return (
            fmean(step["loss"] for step in ends if step["epoch"] <= 1),
            fmean(step["loss"] for step in ends if step["epoch"] > last - 1),
        )
    third = max(1, len(steps) // 3)
    return fmean(step["loss"] for step in steps[:third]), fmean(step["loss"] for step in steps[-third:])
