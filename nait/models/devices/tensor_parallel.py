"""Tensor parallelism: one network whose weights are split among a launcher's processes.

Rank 0 runs the job: it alone measures, writes and decides. Before it calls the network's decoder or LM head, it
broadcasts the arguments, and the other ranks make the same call, so that all take part in each layer's all-reduce.
The other ranks do nothing else until they are dismissed.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from nait.core.errors import ModelError
from nait.core.ranks import workers_from

if TYPE_CHECKING:
    import torch

OPEN, END = "open", "end"
"""Commands from rank 0 that are not the name of a module."""

_SPLIT: WeakSet[Any] = WeakSet()
"""Networks that are split."""


def is_split(network: Any) -> bool:
    """Whether a network's weights are split among processes."""
    return network in _SPLIT


def lead(load: Callable[[], Any]) -> Any:
    """The network, opened by `load` in every process. Calls of its decoder or LM head are broadcast."""
    _init_process_group()
    _send(Call(OPEN))
    network = load()
    _SPLIT.add(network)
    for name, module in _called_modules(network).items():
        # Before the layer's own hooks, which may wrap its input for this process only.
        module.register_forward_pre_hook(_broadcast_hook(name), prepend=True, with_kwargs=True)
    return network


def follow(load: Callable[[], Any]) -> None:
    """Repeat rank 0's calls on this rank's part of the network, until rank 0 calls `dismiss`."""
    import torch

    _init_process_group()
    modules: Mapping[str, Any] = {}
    while (call := _receive()).name != END:
        if call.name == OPEN:
            modules = _called_modules(load())
        else:
            with torch.inference_mode():
                modules[call.name](*call.arguments, **call.options)


def dismiss() -> None:
    """End `follow` in the other processes; rank 0 makes no further calls."""
    _init_process_group()
    _send(Call(END))


@dataclass(frozen=True)
class Call:
    """A call of a module: its name and arguments."""

    name: str
    arguments: tuple[torch.Tensor, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def _called_modules(network: Any) -> dict[str, Any]:
    """Modules that a pass calls, by the names used in broadcasts."""
    head = network.get_output_embeddings()
    return {"decoder": network.get_decoder(), **({"head": head} if head is not None else {})}


def _broadcast_hook(name: str) -> Callable[[Any, tuple[Any, ...], Mapping[str, Any]], None]:
    def send(_module: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        _send(Call(name, arguments, options))

    return send


def _init_process_group() -> None:
    """Initialize the process group, once."""
    import torch
    from torch import distributed

    if distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(workers_from(os.environ).local or 0)
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(distributed.destroy_process_group)


def _send(call: Call) -> None:
    """Broadcast a call: first as JSON, with the shapes and dtypes of its tensors, then each tensor."""
    import torch

    tensors: list[torch.Tensor] = []
    text = json.dumps([call.name, [_plain(x, tensors) for x in call.arguments],
                       {key: _plain(x, tensors) for key, x in call.options.items()}])  # fmt: skip
    encoded = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).to(_device())
    _broadcast(torch.tensor([len(encoded)], device=_device()))
    for tensor in (encoded, *tensors):
        _broadcast(tensor.contiguous())


def _receive() -> Call:
    """The next call from rank 0."""
    import torch

    length = _broadcast(torch.zeros(1, dtype=torch.int64, device=_device()))
    encoded = _broadcast(torch.empty(int(length), dtype=torch.uint8, device=_device()))
    name, arguments, options = json.loads(bytes(encoded.cpu().numpy()))
    return Call(
        name, tuple(_received(x) for x in arguments), {key: _received(x) for key, x in options.items()}
    )


def _plain(value: Any, tensors: list[torch.Tensor]) -> Any:
    """A value as JSON. A tensor becomes its shape and dtype, and is appended to `tensors`."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(
        f"a tensor-parallel model is called with a {type(value).__name__}, which cannot be broadcast",
        where="model.tensor_parallel",
        fix="Use model.device_map=auto in one process.",
    )


def _received(value: Any) -> Any:
    import torch

    if not isinstance(value, dict):
        return value
    return _broadcast(torch.empty(value["shape"], dtype=getattr(torch, value["dtype"]), device=_device()))


def _broadcast(tensor: torch.Tensor) -> torch.Tensor:
    """Rank 0's tensor, broadcast to every process."""
    from torch import distributed

    distributed.broadcast(tensor, src=0)
    return tensor


def _device() -> str:
    import torch

    return f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
