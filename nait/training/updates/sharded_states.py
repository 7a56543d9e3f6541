"""Checkpoints of trained weights that are sharded: written whole, read in parts.

Their files are those of one process, so any number of processes resumes them. All processes call the functions that
gather; rank 0 alone receives the whole tensors, one at a time, in the host's memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import ModelError
from nait.models.devices import process_group
from nait.models.devices.sharded_network import fill, is_shard, whole
from nait.training.updates.shared_updates import agreed

WEIGHTS = "model.safetensors"


def whole_weights(network: Any, *, rank: int) -> dict[str, Any]:
    """The whole weights and saved buffers by name, for rank 0; nothing for others. Shared weights have one name."""
    found: dict[str, Any] = {}
    for name, parameter in network.named_parameters():
        value = whole(parameter, rank=rank) if is_shard(parameter) else parameter.detach().cpu()
        if rank == 0:
            found[name] = value
    return found if rank == 0 else {}


def save_weights(weights: Mapping[str, Any], folder: Path) -> None:
    """Write weights as a checkpoint of the trainer has them."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(weights), folder / WEIGHTS, metadata={"format": "pt"})


def load_weights(network: Any, folder: Path) -> None:
    """Copy this process's parts of a checkpoint's weights into the network. Raises: ModelError if one is missing."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as saved:
        names = set(saved.keys())
        for name, parameter in network.named_parameters():
            if name not in names:
                raise ModelError(
                    f"the checkpoint lacks {name}",
                    where=str(folder),
                    fix="Resume it with train.sharding=none, or train in another store (paths.store=FOLDER).",
                )
            fill(parameter.detach(), saved.get_tensor(name))


def whole_optimizer(optimizer: Any, *, rank: int) -> dict[str, Any]:
    """The optimiser's state dict with whole tensors, for rank 0."""
    state = optimizer.state_dict()
    entries = {
        number: {name: whole(value, rank=rank) if is_shard(value) else value for name, value in entry.items()}
        for number, entry in state["state"].items()
    }
    return {**state, "state": entries}


def own_parts(saved: Mapping[str, Any], optimizer: Any) -> dict[str, Any]:
    """This process's parts of a whole state dict of the optimiser."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    numbers = [number for group in saved["param_groups"] for number in group["params"]]
    entries = {
        number: {name: _part(value, parameter) for name, value in saved["state"][number].items()}
        for number, parameter in zip(numbers, parameters, strict=True)
        if number in saved["state"]
    }
    return {**saved, "state": entries}


def _part(value: Any, parameter: Any) -> Any:
    """A value of the optimiser's state: sharded like its parameter if it has its shape."""
    import torch

    if not is_shard(parameter) or getattr(value, "shape", None) != parameter.shape:
        return value
    own = torch.empty_like(parameter.detach(), dtype=value.dtype)
    fill(own, value)
    return own


class SavesTogether:
    """A callback of all processes: a checkpoint that rank 0 requests is written by all, since each holds a part."""

    def on_step_end(self, _args: Any, state: Any, control: Any, **_: Any) -> None:
        """Raises: TrainingEnded if rank 0 ended the training."""
        if state.global_step < state.max_steps:
            control.should_save = bool(agreed(int(control.should_save)))

    on_epoch_end = on_step_end


def gathers(optimizer: Any, network: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The whole weights and the whole optimiser's state, for rank 0. All processes call it.

    Raises: TrainingEnded if rank 0 ended the training.
    """
    agreed(0)
    rank = process_group.rank()
    return whole_weights(network, rank=rank), whole_optimizer(optimizer, rank=rank)
