"""Networks that stay open between the stages and jobs of one process, so that each base model is opened once.

A user borrows a model's network and gives it back. Between users it is kept, one network at a time. A network is
kept only as it was opened: with the same modules, weights and hooks. Any other is freed, and the next user opens the
model again, so that no job depends on the jobs before it.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from nait.core.contracts import Model
from nait.models.devices.leases import leased_device
from nait.models.devices.tensor_parallel import is_split
from nait.store.energy import gauge
from nait.store.spared import spare


@dataclass(frozen=True)
class _Opening:
    """What a network was opened from, its state and its trainable parameters then, and the cost of opening it."""

    content: tuple[Any, ...]
    state: tuple[Any, ...] | None
    trainable: frozenset[str]
    seconds: float
    energy_wh: float | None


_openings: WeakKeyDictionary[Any, _Opening] = WeakKeyDictionary()
"""The opening of each network that was borrowed and still exists."""

_kept: list[Any] = []
"""The network that waits for its next user: one or none."""


def borrow(model: Model) -> Any:
    """The model's network in eval mode, for one user. The cost of opening a kept network is spared work."""
    content = _content(model)
    if _kept and _openings[_kept[0]].content == content:
        network = _kept.pop()
        spare(_openings[network].seconds, _openings[network].energy_wh)
        return network
    free()
    started, since = time.monotonic(), gauge().joules()
    network = model.load_network()
    seconds, energy = time.monotonic() - started, gauge().watt_hours(since)
    trainable = frozenset(name for name, one in network.named_parameters() if one.requires_grad)
    _openings[network] = _Opening(content, _state(network), trainable, seconds, energy)
    return network


def give_back(network: Any) -> None:
    """Keep a borrowed network for its next user if it is as it was opened.

    Its gradients are freed, and the parameters that were trainable become trainable again.
    """
    opening = _openings.get(network)
    if opening is None or is_split(network):
        return
    network.eval()
    network.zero_grad(set_to_none=True)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in opening.trainable)
    if opening.state is not None and _state(network) == opening.state:
        free()
        _kept.append(network)


def free() -> None:
    """Free the kept network's memory."""
    if _kept:
        _kept.clear()
        gc.collect()


def free_device() -> None:
    """Free the kept network's memory for other processes, with what torch keeps for its next use."""
    import torch

    free()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _content(model: Model) -> tuple[Any, ...]:
    """What decides the network that opening the model gives: its content, device and attention kernel."""
    names = ("device", "device_map", "attn_implementation", "tensor_parallel")
    return (type(model), model.fingerprint, leased_device(), *(getattr(model, name, None) for name in names))


def _state(network: Any) -> tuple[Any, ...] | None:
    """The network's modules, tensors and hooks; None if its weights are not in memory, or in a type without a hash.

    A hash of a tensor's bits shows any change. Its version counter does not: fused optimisers write without counting.
    """
    import torch

    modules = [(name, id(module), *_conduct(module)) for name, module in network.named_modules()]
    try:
        tensors = [
            (
                name,
                id(tensor),
                str(tensor.dtype),
                str(tensor.device),
                torch.hash_tensor(tensor.detach()).item(),
            )
            for name, tensor in [*network.named_parameters(), *network.named_buffers()]
        ]
    except RuntimeError:  # NotImplementedError too
        return None
    return (tuple(modules), tuple(tensors), repr(network.config), repr(network.generation_config))


def _conduct(module: Any) -> tuple[Any, ...]:
    """What decides how a module computes, apart from its tensors: mode, replaced forward, checkpointing, hooks."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return (
        module.training,
        "forward" in vars(module),
        getattr(module, "gradient_checkpointing", None),
        *(len(getattr(module, name)) for name in hooks),
    )
