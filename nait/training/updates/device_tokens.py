"""Device tokens: how many padded tokens of an update run at once on a device.

On a CPU the budget keeps activations in its caches. On a GPU it is what the memory holds, estimated from the model.
"""

from __future__ import annotations

from typing import Any, Literal

from nait.models.anatomy import dissect
from nait.models.devices.sharded_network import local_bytes, local_part

AUTO: Literal["auto"] = "auto"
CPU_TOKENS = 512
LEAST, MOST = 512, 65_536
MEMORY_SHARE = 0.75
"""The share of a GPU's free memory that activations may take; the estimate is rough."""
BYTES_PER_UNIT = 192
"""Activations per token, block and hidden unit: about 130 bytes for LoRA with dropout in bfloat16, 190 in float32."""
STATE_BYTES = 16
"""Bytes that a trained weight adds: a float32 gradient, Adam's two moments and a copy, 4 bytes each."""


def automatic(network: Any, *, checkpointing: bool) -> int:
    """The budget of `train.device_tokens=auto`: the same for the same model, recipe and device."""
    import torch

    device = network.device
    if device.type != "cuda":
        return CPU_TOKENS
    anatomy = dissect(network)
    parameters = list(network.parameters())
    held = local_bytes(parameters)
    held += STATE_BYTES * sum(local_part(p).numel() for p in parameters if p.requires_grad)
    free = torch.cuda.get_device_properties(device).total_memory - held
    # Checkpointing keeps each block's input, 4 bytes at most, and the activations of one block.
    unit = 4 * anatomy.layers + BYTES_PER_UNIT if checkpointing else BYTES_PER_UNIT * anatomy.layers
    fitting = max(LEAST, min(MOST, int(MEMORY_SHARE * free / (unit * anatomy.hidden))))
    return 1 << (fitting.bit_length() - 1)


def halved(first: int, last: int) -> list[str]:
    """A warning for the manifest if out of memory halved the budget; none otherwise."""
    if last == first:
        return []
    return [
        f"Out of memory halved train.device_tokens from {first} to {last}. Set train.device_tokens={last} to train "
        "with that from the start."
    ]
