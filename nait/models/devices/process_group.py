"""The processes of one command as a group: rank 0 broadcasts calls, and all of them add up tensors.

A launcher starts the processes. Rank 0 runs the job. The others, its helpers, wait for calls and do a share of each.
"""

from __future__ import annotations

import atexit
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.core.errors import ModelError
from nait.core.ranks import SINGLE_PROCESS, Workers, workers_from

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]

PATIENCE = timedelta(days=30)
"""How long a process waits for the others: while rank 0 works alone, its helpers wait. A launcher ends them all
when one dies."""
ADDRESS = "MASTER_ADDR"
BUCKET_NUMBERS = 16_000_000
"""Numbers that are summed at once: 64 MB in float32."""

_shared: list[Workers] = []
"""The processes that share the work of the current `sharing` block."""


@dataclass(frozen=True)
class Call:
    """A call of something by name, with its arguments: tensors, and what JSON has."""

    name: str
    arguments: tuple[torch.Tensor, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


def call_with(name: str, arrays: Sequence[Array], options: Mapping[str, Any]) -> Call:
    """A call with numpy arrays. Truth values become bytes, which every backend broadcasts."""
    import torch

    plain = (array.view(np.uint8) if array.dtype == np.bool_ else array for array in arrays)
    return Call(name, tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in plain), options)


def arrays_of(call: Call) -> list[Array]:
    """The arrays of a call, truth values as bytes."""
    return [tensor.cpu().numpy() for tensor in call.arguments]


def can_meet(environment: Mapping[str, str]) -> bool:
    """Whether a launcher started several processes and named the address where they meet."""
    return workers_from(environment).count > 1 and ADDRESS in environment


def shared_by() -> Workers:
    """The processes that share the current work, and this one's rank; one process outside `sharing`."""
    return _shared[-1] if _shared else SINGLE_PROCESS


@contextmanager
def sharing(workers: Workers) -> Iterator[None]:
    """Within the block, training and evaluation split their work among these processes."""
    _shared.append(workers)
    try:
        yield
    finally:
        _shared.pop()


def init_process_group(workers: Workers | None = None) -> None:
    """Initialize the process group, once. `workers`: this process's rank, if not that of the environment."""
    import torch
    from torch import distributed

    if distributed.is_initialized():
        return
    workers = workers or workers_from(os.environ)
    if torch.cuda.is_available():
        torch.cuda.set_device(workers.local or 0)
    distributed.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        rank=workers.rank, world_size=workers.count, timeout=PATIENCE,
    )  # fmt: skip
    atexit.register(distributed.destroy_process_group)


def send(call: Call) -> None:
    """Broadcast a call: first as JSON, with the shapes and dtypes of its tensors, then each tensor."""
    import torch

    tensors: list[torch.Tensor] = []
    text = json.dumps([call.name, [_plain(x, tensors) for x in call.arguments],
                       {key: _plain(x, tensors) for key, x in call.options.items()}])  # fmt: skip
    encoded = torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8).to(own_device())
    broadcast(torch.tensor([len(encoded)], device=own_device()))
    for tensor in (encoded, *tensors):
        broadcast(tensor.to(own_device()).contiguous())


def receive() -> Call:
    """The next call from rank 0. Tensors are on this process's device."""
    import torch

    length = broadcast(torch.zeros(1, dtype=torch.int64, device=own_device()))
    encoded = broadcast(torch.empty(int(length), dtype=torch.uint8, device=own_device()))
    name, arguments, options = json.loads(bytes(encoded.cpu().numpy()))
    return Call(
        name, tuple(_received(x) for x in arguments), {key: _received(x) for key, x in options.items()}
    )


def gather(value: Any) -> list[Any]:
    """The values of all processes by rank, at every process. A value is what JSON has."""
    import torch
    from torch import distributed

    own = torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8).to(own_device())
    sizes = [
        torch.zeros(1, dtype=torch.int64, device=own_device()) for _ in range(distributed.get_world_size())
    ]
    distributed.all_gather(sizes, torch.tensor([len(own)], device=own_device()))
    most = max(int(size) for size in sizes)
    texts = [torch.zeros(most, dtype=torch.uint8, device=own_device()) for _ in sizes]
    distributed.all_gather(texts, torch.nn.functional.pad(own, (0, most - len(own))))
    return [
        json.loads(bytes(text[: int(size)].cpu().numpy())) for text, size in zip(texts, sizes, strict=True)
    ]


def largest(number: int) -> int:
    """The largest number of all processes."""
    import torch
    from torch import distributed

    found = torch.tensor([number], device=own_device())
    distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
    return int(found)


def rank() -> int:
    """This process's rank."""
    from torch import distributed

    return int(distributed.get_rank())


def size() -> int:
    """The number of processes."""
    from torch import distributed

    return int(distributed.get_world_size())


def add_up(tensors: Sequence[torch.Tensor]) -> None:
    """Replace each tensor by its sum over the processes: the same bits in every process."""
    import torch
    from torch import distributed

    for bucket in _buckets(tensors):
        flat = torch.cat([tensor.reshape(-1) for tensor in bucket])
        distributed.all_reduce(flat)
        start = 0
        for tensor in bucket:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()


def _buckets(tensors: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
    """Consecutive tensors of one dtype and device, of at most `BUCKET_NUMBERS` numbers unless one is larger."""
    bucket: list[torch.Tensor] = []
    for tensor in tensors:
        alike = bucket and (bucket[0].dtype, bucket[0].device) == (tensor.dtype, tensor.device)
        if bucket and not (alike and sum(x.numel() for x in bucket) + tensor.numel() <= BUCKET_NUMBERS):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


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
    return broadcast(torch.empty(value["shape"], dtype=getattr(torch, value["dtype"]), device=own_device()))


def broadcast(tensor: torch.Tensor) -> torch.Tensor:
    """Rank 0's values, copied into every process's tensor of the same shape."""
    from torch import distributed

    distributed.broadcast(tensor, src=0)
    return tensor


def own_device() -> str:
    """The device of this process: its GPU if there are GPUs, else the CPU."""
    import torch

    return f"cuda:{torch.cuda.current_device()}" if torch.cuda.is_available() else "cpu"
