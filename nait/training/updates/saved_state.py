"""State between updates (optimizer, schedule, scaler, generators) as safetensors and JSON.

The trainer's own files are pickles. Loading one can run code, and a store may come from elsewhere.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nait.store import write_json

ARRAYS, TREE = ".safetensors", ".json"
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
QUANTISED = ("OptimState8bit",)
"""Tensor classes of `torchao.optim` that are saved by their parts."""


def write_state(folder: Path, name: str, state: Any) -> None:
    """Write `NAME.json`, the tree of the state, and `NAME.safetensors`, its tensors.

    Raises: TypeError for a value that is neither a plain value, a collection nor a tensor.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    tree = _packed(state, tensors)
    save_file(tensors, folder / f"{name}{ARRAYS}")
    write_json(folder / f"{name}{TREE}", tree)


def read_state(folder: Path, name: str) -> Any:
    """What `write_state` wrote, with its tensors on the CPU."""
    from safetensors.torch import load_file

    tensors = load_file(folder / f"{name}{ARRAYS}")
    return _unpacked(json.loads((folder / f"{name}{TREE}").read_text(encoding="utf-8")), tensors)


def pickled(folder: Path) -> str:
    """The name of a pickled file under a folder; empty if there is none."""
    return next((path.name for pattern in PICKLES for path in sorted(folder.rglob(pattern))), "")


def generators() -> dict[str, Any]:
    """The states of the global generators of Python, numpy and torch, on the CPU and on every GPU."""
    import numpy as np
    import torch

    kind, keys, *rest = np.random.get_state()
    gpus = torch.cuda.random.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": (kind, [int(key) for key in keys], *rest),
        "cpu": torch.random.get_rng_state(),
        "cuda": gpus,
    }


def restore_generators(state: Mapping[str, Any]) -> None:
    """Set the global generators. GPUs that this machine lacks are left out."""
    import numpy as np
    import torch

    random.setstate(state["python"])
    np.random.set_state(state["numpy"])
    torch.random.set_rng_state(state["cpu"])
    if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.random.set_rng_state_all(state["cuda"])


def _packed(value: Any, tensors: dict[str, Any]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return _packed_tensor(value, tensors)
    if isinstance(value, Mapping):
        return {"items": [[_packed(k, tensors), _packed(v, tensors)] for k, v in value.items()]}
    if isinstance(value, (list, tuple)):
        kind = "list" if isinstance(value, list) else "tuple"
        return {kind: [_packed(part, tensors) for part in value]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"{type(value).__name__} cannot be saved as JSON")


def _packed_tensor(value: Any, tensors: dict[str, Any]) -> Any:
    kind = type(value).__name__
    if kind in QUANTISED:
        names, facts = value.__tensor_flatten__()
        parts = {name: getattr(value, name) for name in names}
        return {"quantised": [kind, _packed(parts, tensors), _packed(list(facts), tensors)]}
    name = str(len(tensors))
    tensors[name] = value.detach().cpu().clone().contiguous()
    return {"tensor": name}


def _unpacked(tree: Any, tensors: Mapping[str, Any]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, inner),) = tree.items()
    return _KINDS[kind](inner, tensors)


def _quantised(inner: Any, tensors: Mapping[str, Any]) -> Any:
    from torchao.optim import subclass_8bit

    kind, parts, facts = inner
    if kind not in QUANTISED:
        raise TypeError(f"{kind} is not a known tensor class")
    return getattr(subclass_8bit, kind).__tensor_unflatten__(
        _unpacked(parts, tensors), _unpacked(facts, tensors)
    )


_KINDS: Mapping[str, Callable[[Any, Mapping[str, Any]], Any]] = {
    "items": lambda inner, tensors: {_unpacked(k, tensors): _unpacked(v, tensors) for k, v in inner},
    "list": lambda inner, tensors: [_unpacked(part, tensors) for part in inner],
    "tuple": lambda inner, tensors: tuple(_unpacked(part, tensors) for part in inner),
    "tensor": lambda inner, tensors: tensors[inner],
    "quantised": _quantised,
}
