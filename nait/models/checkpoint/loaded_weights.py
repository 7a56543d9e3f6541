"""Loaded weights: check that a network has every weight of its checkpoint, and that all are finite."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from nait.core.errors import ModelError
from nait.models.checkpoint.folders import HEADS

log = logging.getLogger(__name__)
_BUFFERS = re.compile(r"(inv_freq|masked_bias|position_ids|attn\.bias|attention\.bias|num_batches_tracked)$")
"""Buffers that older checkpoints store; they are not weights."""


def hide_load_report() -> None:
    """Keep transformers' own report of a loading off the terminal.

    `check_loaded` says what is in it. The report prints the names of tensors as they are, with control characters.
    """
    logging.getLogger("transformers.modeling_utils").addFilter(_is_no_report)


def _is_no_report(record: logging.LogRecord) -> bool:
    return "LOAD REPORT" not in record.getMessage()


def check_loaded(network: Any, info: Mapping[str, Any], *, where: str) -> str:
    """Check the loading report `info` of transformers against the network.

    Returns a sentence about unused tensors, "" if there are none.

    Raises: ModelError for a missing weight, one of another shape, or an unused one that belongs to the network.
    """
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"the checkpoint lacks {_some(missing)}, which would be random numbers",
            where=where,
            fix="Save the whole model again; a shared output layer needs "
            '"tie_word_embeddings": true in config.json.',
        )
    for name, saved, own in sorted(info["mismatched_keys"]):
        raise ModelError(
            f"{name} has shape {tuple(saved)} in the checkpoint and {tuple(own)} by config.json",
            where=where,
            fix="Use config.json and weights of the same model.",
        )
    unused = sorted(name for name in info["unexpected_keys"] if not _BUFFERS.search(name))
    kind = type(network).__name__
    own_parts = [name for name in unused if name.startswith(HEADS) or _inside(network, name)]
    if own_parts:
        raise ModelError(
            f"the checkpoint has {_some(own_parts)}, which {kind} as config.json describes it lacks",
            where=where,
            fix="Use config.json and weights of the same model; merge a PEFT model first (merge_and_unload()).",
        )
    if not unused:
        return ""
    message = f"the checkpoint's {_some(unused)} is not used by {kind}"
    log.warning("%s: %s.", where, message)
    return message


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _inside(network: Any, name: str) -> bool:
    """Whether a tensor's name lies inside one of the network's modules, such as a block that the config lacks."""
    modules = {own for own, _ in network.named_modules()} - {"", network.base_model_prefix}
    return any(
        full.startswith(module + ".")
        for full in (name, f"{network.base_model_prefix}.{name}")  # a backbone is saved without its prefix
        for module in modules
    )


def check_finite(network: Any, *, where: str) -> None:
    """Check that all weights are finite, by the sum of each parameter: one pass without a copy, on its own device.

    Raises: ModelError with the name of a parameter that has NaN or an infinite value.
    """
    import torch

    held = [(name, _local(p)) for name, p in network.named_parameters() if p.is_floating_point()]
    # An offloaded weight is on the meta device; a quantised one is not a plain number.
    held = [(name, w) for name, w in held if w.device.type != "meta" and w.dtype.itemsize > 1]
    with torch.no_grad():
        sums = [(name, weight, weight.sum().float()) for name, weight in held]
        suspects = [
            (name, weight) for (name, weight, _), ok in zip(sums, _finite(sums), strict=True) if not ok
        ]
        broken = [(name, weight) for name, weight in suspects if not bool(torch.isfinite(weight).all())]
    if broken:
        name, weight = broken[0]
        raise ModelError(
            f"{name} has {int((~torch.isfinite(weight)).sum()):,} weights that are NaN or infinite"
            + (f", and {len(broken) - 1} more tensors too" if len(broken) > 1 else ""),
            where=where,
            fix="Use another checkpoint, or model.dtype=float32 if the weights exceed the range of float16.",
        )


def _finite(sums: Iterable[tuple[str, Any, Any]]) -> list[bool]:
    """Whether each sum is finite, with one transfer if all are on one device."""
    import torch

    values = [total for _, _, total in sums]
    devices = {value.device for value in values}
    if len(devices) == 1 and values:
        return list(torch.isfinite(torch.stack(values)).tolist())
    return [bool(torch.isfinite(value)) for value in values]


def _local(parameter: Any) -> Any:
    """The parameter, or this process's shard of it."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter.detach()
