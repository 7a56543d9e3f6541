"""Keys that another key replaces: how an update is split into batches."""

from __future__ import annotations

from nait.core.errors import ConfigError

SPLITS = (
    "gradient_accumulation", "gradient_accumulation_steps", "grad_accum", "grad_acc", "accumulate_grad_batches",
    "accumulation_steps", "micro_batch_size", "per_device_batch_size", "per_device_train_batch_size",
)  # fmt: skip
"""Keys of other trainers and of earlier versions that split an update into batches of a fixed number of rows."""


def replaced(key: str) -> ConfigError | None:
    """The error for a key that another one replaces, as in `train.gradient_accumulation`; None for any other key."""
    parent, _, last = key.rpartition(".")
    if last not in SPLITS or parent.split(".")[-1] not in ("", "train", "warmup"):
        return None
    group = parent or "train"
    return ConfigError(
        f"an update is not made of batches: {group}.batch_size is its number of rows",
        where=key,
        fix=f"Multiply the two: batch_size=8 with gradient_accumulation=16 is {group}.batch_size=128. "
        f"{group}.device_tokens splits an update to fit the device.",
    )
