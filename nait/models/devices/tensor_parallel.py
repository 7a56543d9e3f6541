"""Tensor parallelism: one network whose weights are split among a launcher's processes.

Rank 0 runs the job: it alone measures, writes and decides. Before it calls the network's decoder or LM head, it
broadcasts the arguments, and the other ranks make the same call, so that all take part in each layer's all-reduce.
The other ranks do nothing else until they are dismissed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakSet

from nait.models.anatomy import decoder_of
from nait.models.devices.process_group import Call, init_process_group, receive, send

OPEN, END = "open", "end"
"""Commands from rank 0 that are not the name of a module."""

_SPLIT: WeakSet[Any] = WeakSet()
"""Networks that are split."""


def is_split(network: Any) -> bool:
    """Whether a network's weights are split among processes."""
    return network in _SPLIT


def lead(load: Callable[[], Any]) -> Any:
    """The network, opened by `load` in every process. Calls of its decoder or LM head are broadcast."""
    init_process_group()
    send(Call(OPEN))
    network = load()
    _SPLIT.add(network)
    for name, module in _called_modules(network).items():
        # Before the layer's own hooks, which may wrap its input for this process only.
        module.register_forward_pre_hook(_broadcast_hook(name), prepend=True, with_kwargs=True)
    return network


def follow(load: Callable[[], Any]) -> None:
    """Repeat rank 0's calls on this rank's part of the network, until rank 0 calls `dismiss`."""
    import torch

    init_process_group()
    modules: Mapping[str, Any] = {}
    while (call := receive()).name != END:
        if call.name == OPEN:
            modules = _called_modules(load())
        else:
            with torch.inference_mode():
                modules[call.name](*call.arguments, **call.options)


def dismiss() -> None:
    """End `follow` in the other processes; rank 0 makes no further calls."""
    init_process_group()
    send(Call(END))


def _called_modules(network: Any) -> dict[str, Any]:
    """Modules that a pass calls, by the names used in broadcasts."""
    head = network.get_output_embeddings()
    return {"decoder": decoder_of(network), **({"head": head} if head is not None else {})}


def _broadcast_hook(name: str) -> Callable[[Any, tuple[Any, ...], Mapping[str, Any]], None]:
    def broadcast(_module: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        send(Call(name, arguments, options))

    return broadcast
