"""Wholeness: whether an opened network is the checkpoint's, every weight loaded and finite."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from nait.core.errors import ModelError
from nait.models.checkpoint.folders import HEADS

log = logging.getLogger(__name__)
_BUFFERS = re.compile(r"(inv_freq|masked_bias|position_ids|attn\.bias|attention\.bias|num_batches_tracked)$")
"""Tensors of older checkpoints that hold no weight."""


def check_loaded(network: Any, info: Mapping[str, Any], *, where: str) -> str:
    """Compare what was read with what the network has. `info` is transformers' account of the loading.

    Returns a sentence about tensors that the network does not use, "" where there are none.

    Raises: ModelError for a weight that is missing, of another size, or left over inside the network's own parts.
    """
    missing = sorted(info["missing_keys"])
    if missing:
        raise ModelError(
            f"the checkpoint lacks {_some(missing)}, which would be random numbers",
            where=where,
            mend="Save the whole model again; a shared output layer needs "
            '"tie_word_embeddings": true in config.json.',
        )
    for name, saved, own in sorted(info["mismatched_keys"]):
        raise ModelError(
            f"{name} has shape {tuple(saved)} in the checkpoint and {tuple(own)} by config.json",
            where=where,
            mend="Take config.json and weights of one model.",
        )
    unused = sorted(name for name in info["unexpected_keys"] if not _BUFFERS.search(name))
    kind = type(network).__name__
    own_parts = [name for name in unused if name.startswith(HEADS) or _inside(network, name)]
    if own_parts:
        raise ModelError(
            f"the checkpoint has {_some(own_parts)}, which {kind} as config.json describes it lacks",
            where=where,
            mend="Take config.json and weights of one model; a PEFT model must be merged first (merge_and_unload()).",
        )
    if not unused:
        return ""
    said = f"the checkpoint's {_some(unused)} is not used by {kind}"
    log.warning("%s: %s.", where, said)
    return said


def _some(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _inside(network: Any, name: str) -> bool:
    """Whether a tensor of this name belongs to a part that the network has; one block more does too."""
    modules = {own for own, _ in network.named_modules()} - {"", network.base_model_prefix}
    return any(
        full.startswith(module + ".")
        for full in (name, f"{network.base_model_prefix}.{name}")  # a backbone is saved without its prefix
        for module in modules
    )


def check_finite(network: Any, *, where: str) -> None:
    """Add up each parameter on its own device: one pass over the weights, without a copy, in their own dtype.

    Raises: ModelError that names a parameter with NaN or an infinite value.
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
            mend="Take another checkpoint of its training, or model.dtype=float32 if it is too wide for float16.",
        )


def _finite(sums: Iterable[tuple[str, Any, Any]]) -> list[bool]:
    """Whether each sum is finite; one transfer a device."""
    import torch

    values = [total for _, _, total in sums]
    devices = {value.device for value in values}
    if len(devices) == 1 and values:
        return list(torch.isfinite(torch.stack(values)).tolist())
    return [bool(torch.isfinite(value)) for value in values]


def _local(parameter: Any) -> Any:
    """This process's part of a parameter that is split among several."""
    return parameter.to_local() if hasattr(parameter, "to_local") else parameter.detach()
