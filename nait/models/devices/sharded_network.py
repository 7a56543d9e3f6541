"""Networks whose weights are sharded over the processes of a group, by torch's `fully_shard` (FSDP).

Each process holds 1/N of each weight. A block's weights are gathered before it runs, forward and backward, and freed
after it. All processes run the same passes at the same time, each on rows of its own.

Rank 0 reads the weights into the host's memory; the others open the network without weights. Each block is broadcast
and sharded before the next, so a device never holds more than one whole block and its own shards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nait.core.contracts import Model, Relocatable
from nait.core.errors import ConfigError
from nait.models.anatomy import Anatomy, dissect
from nait.models.devices import process_group

if TYPE_CHECKING:
    import torch

DECODE = "decode"
"""The root's method that runs the decoder alone. FSDP treats it as a forward pass of the root."""

_ROOTS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
"""The module of each sharded network that holds all other shards."""


def open_unsharded(model: Model, rank: int) -> Any:
    """The network on the CPU for rank 0, without weights (`meta`) for other ranks.

    Raises: ConfigError if the model cannot be opened there.
    """
    return relocatable(model).load_on("cpu" if rank == 0 else "meta")


def relocatable(model: Model) -> Relocatable:
    """The model, which can be sharded. Raises: ConfigError if it cannot be opened without its weights."""
    if isinstance(model, Relocatable):
        return model
    raise ConfigError(
        f"{model.name} cannot be opened without its weights",
        where="train.sharding=fsdp",
        fix="Set train.sharding=none, or use model=hf or model=local.",
    )


def shard(network: Any, *, rank: int, dtype: torch.dtype | None = None) -> None:
    """Shard a network that `open_unsharded` returned, in place, with rank 0's weights.

    With `dtype` all weights are trained: they are cast to it and sharded with their gradients, which each process
    receives summed over all. Without, trainable weights are kept whole in each process, as an adapter is.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    anatomy = dissect(network)
    root = network.get_base_model() if hasattr(network, "get_base_model") else network
    mesh = init_device_mesh(process_group.own_device().partition(":")[0], (process_group.size(),))
    blocks = {id(part) for block in anatomy.blocks for part in block.modules()}
    units: list[tuple[Any, list[Any]]] = [(block, [*block.modules()]) for block in anatomy.blocks]
    units.append((root, [part for part in root.modules() if id(part) not in blocks]))
    for unit, parts in units:
        _broadcast_parts(parts, rank=rank, dtype=dtype)
        kept = set() if dtype else {p for part in parts for p in _own(part) if p.requires_grad}
        fully_shard(unit, mesh=mesh, ignored_params=kept or None)
        # The gradient of an update is a sum over its rows, not a mean over processes.
        unit.set_gradient_divide_factor(1.0)
        unit.set_force_sum_reduction_for_comms(True)
    setattr(root, DECODE, lambda **inputs: anatomy.decoder(**inputs))
    register_fsdp_forward_method(root, DECODE)
    _ROOTS[network] = root


def is_sharded(network: Any) -> bool:
    """Whether `shard` has sharded the network's weights."""
    return network in _ROOTS


def decoder_of(network: Any, anatomy: Anatomy) -> Callable[..., Any]:
    """The decoder's forward pass, which gathers the shards if the network is sharded."""
    return getattr(_ROOTS[network], DECODE) if is_sharded(network) else anatomy.decoder


def free_gathered(network: Any) -> None:
    """Free the gathered weights outside the blocks."""
    _ROOTS[network].reshard()


def is_shard(tensor: Any) -> bool:
    """Whether a tensor holds this process's part of a sharded one."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a sharded tensor; another tensor unchanged."""
    return tensor.to_local() if is_shard(tensor) else tensor  # type: ignore[attr-defined]


def local_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """The bytes that these tensors take in this process."""
    parts = [local_part(tensor) for tensor in tensors]
    return sum(part.numel() * part.element_size() for part in parts)


def whole(tensor: torch.Tensor, *, rank: int) -> torch.Tensor | None:
    """The whole of a sharded tensor on the CPU, for rank 0; None for others. All processes call it."""
    found = tensor.detach().full_tensor()  # type: ignore[attr-defined]
    return found.cpu() if rank == 0 else None


def fill(tensor: torch.Tensor, values: torch.Tensor) -> None:
    """Copy this process's part of a whole tensor's values into a sharded one."""
    sharded: Any = tensor
    start, count = sharded.device_mesh.get_local_rank(), sharded.device_mesh.size()
    parts = values.chunk(count, dim=0)
    if start < len(parts):
        sharded.to_local().copy_(parts[start])


def _own(part: Any) -> Sequence[Any]:
    return [*part.parameters(recurse=False)]


def _broadcast_parts(parts: Iterable[Any], *, rank: int, dtype: torch.dtype | None) -> None:
    """Replace the tensors of these modules by rank 0's, on this process's device. Shared weights stay shared."""
    from torch import nn

    sent: dict[int, tuple[Any, Any]] = {}  # the old tensor is kept, so that its id is not used again
    for part in parts:
        for name, old in [*part.named_parameters(recurse=False, remove_duplicate=False)]:
            if id(old) not in sent:
                new = _from_first(old.detach(), rank=rank)
                trained = old.requires_grad
                sent[id(old)] = (
                    old,
                    nn.Parameter(new.to(dtype) if dtype else new, requires_grad=trained),
                )
            part._parameters[name] = sent[id(old)][1]
        for name, old in [*part.named_buffers(recurse=False, remove_duplicate=False)]:
            part._buffers[name] = _from_first(old, rank=rank)


def _from_first(tensor: torch.Tensor, *, rank: int) -> torch.Tensor:
    """Rank 0's values of a tensor, on this process's device."""
    import torch

    device = process_group.own_device()
    own = tensor.to(device).contiguous() if rank == 0 else torch.empty_like(tensor, device=device)
    return process_group.broadcast(own.contiguous())
