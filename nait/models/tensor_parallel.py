"""Parallel: one network whose weights are split among a launcher's processes (tensor parallelism).

The first process is the run, and all that measures, writes and decides is there alone. Whenever it calls the
network's decoder or LM head, it tells the other processes with what, and they call theirs: so all meet in the sums
that a split layer ends with. The others do nothing else until they are dismissed.
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
from nait.core.ranks import workers_of

if TYPE_CHECKING:
    import torch

OPEN, END = "open", "end"
"""What the first process says beside the names of the modules that it calls."""

_SPLIT: WeakSet[Any] = WeakSet()
"""The networks that are split."""


def is_split(network: Any) -> bool:
    """Whether a network's weights are split among processes."""
    return network in _SPLIT


def lead(load: Callable[[], Any]) -> Any:
    """The network that all processes open by `load`; each call of its decoder or LM head is theirs too."""
    _join()
    _send(Call(OPEN))
    network = load()
    _SPLIT.add(network)
    for name, module in _told(network).items():
        # In front of the layer's own hooks, which may wrap its input for this process alone.
        module.register_forward_pre_hook(_teller(name), prepend=True, with_kwargs=True)
    return network


def follow(load: Callable[[], Any]) -> None:
    """Calls the network that `load` opens as the first process calls its own, until that dismisses this one."""
    import torch

    _join()
    told: Mapping[str, Any] = {}
    while (call := _receive()).name != END:
        if call.name == OPEN:
            told = _told(load())
        else:
            with torch.inference_mode():
                told[call.name](*call.arguments, **call.options)


def dismiss() -> None:
    """Lets the other processes go: the first one calls nothing any more."""
    _join()
    _send(Call(END))


@dataclass(frozen=True)
class Call:
    """What a module is called with."""

    name: str
    arguments: tuple[torch.Tensor, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def _told(network: Any) -> dict[str, Any]:
    """The modules that a pass calls, by the names they have between the processes."""
    head = network.get_output_embeddings()
    return {"decoder": network.get_decoder(), **({"head": head} if head is not None else {})}


def _teller(name: str) -> Callable[[Any, tuple[Any, ...], Mapping[str, Any]], None]:
    def tell(_module: Any, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        _send(Call(name, arguments, options))

    return tell


def _join() -> None:
    """Meets the other processes, once."""
    import torch
    from torch import distributed

    if distributed.is_initialized():
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(workers_of(os.environ).local or 0)
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    atexit.register(distributed.destroy_process_group)


def _send(call: Call) -> None:
    """To all other processes: the call as JSON, in which tensors are shapes and dtypes, then each tensor."""
    import torch

    tensors: list[torch.Tensor] = []
    text = json.dumps([call.name, [_plain(x, tensors) for x in call.arguments],
                       {key: _plain(x, tensors) for key, x in call.options.items()}])  # fmt: skip
    said = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).to(_device())
    _spread(torch.tensor([len(said)], device=_device()))
    for tensor in (said, *tensors):
        _spread(tensor.contiguous())


def _receive() -> Call:
    """What the first process sends next."""
    import torch

    length = _spread(torch.zeros(1, dtype=torch.int64, device=_device()))
    said = _spread(torch.empty(int(length), dtype=torch.uint8, device=_device()))
    name, arguments, options = json.loads(bytes(said.cpu().numpy()))
    return Call(name, tuple(_whole(x) for x in arguments), {key: _whole(x) for key, x in options.items()})


def _plain(value: Any, tensors: list[torch.Tensor]) -> Any:
    """A value as JSON has it; a tensor's shape and dtype, and the tensor itself put to the others."""
    import torch

    if isinstance(value, torch.Tensor):
        tensors.append(value)
        return {"shape": list(value.shape), "dtype": str(value.dtype).removeprefix("torch.")}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise ModelError(
        f"a split model is called with a {type(value).__name__}, which other processes cannot be told",
        where="model.tensor_parallel",
        mend="Use model.device_map=auto in one process.",
    )


def _whole(value: Any) -> Any:
    import torch

    if not isinstance(value, dict):
        return value
    return _spread(torch.empty(value["shape"], dtype=getattr(torch, value["dtype"]), device=_device()))


def _spread(tensor: torch.Tensor) -> torch.Tensor:
    """The first process's tensor, in every process."""
    from torch import distributed

    distributed.broadcast(tensor, src=0)
    return tensor


def _device() -> str:
    import torch

    return f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
