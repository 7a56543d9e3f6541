"""Adapters added to the weights of their base model, and the weights put back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal
from weakref import WeakKeyDictionary

from nait.core.errors import ModelError
from nait.models.devices.sharded_network import is_sharded
from nait.models.devices.tensor_parallel import is_split

Merge = bool | Literal["auto"]
"""Whether an adapter is added to the weights, so that its layers cost nothing. "auto": where the weights are float32.
In 16 bits, small updates would round away."""

_replaced: WeakKeyDictionary[Any, list[tuple[Any, Any]]] = WeakKeyDictionary()
"""The parameters of a network to whose weights an adapter is added, and their own values."""


def merged(adapted: Any, merge: Merge, folder: Path) -> Any:
    """The base network with the adapter added to copies of its weights, or `adapted` where that is not asked for.

    Raises: ModelError if it is asked for, and the weights are quantised, sharded or shared with another module; if
    a sum of both is not finite.
    """
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not merge:
        return adapted
    bases = [one.get_base_layer() for one in adapted.modules() if isinstance(one, BaseTunerLayer)]
    weights: list[Any] = [getattr(base, "weight", None) for base in bases]
    if obstacle := _obstacle(adapted, weights):
        if merge == "auto":
            return adapted
        raise ModelError(
            f"the adapter cannot be added to the weights: {obstacle}",
            where=str(folder),
            fix="Set eval.merge_adapter=auto.",
        )
    if merge == "auto" and any(weight.dtype != torch.float32 for weight in weights):
        return adapted
    values = [(weight, weight.data) for weight in weights]
    try:
        network = adapted.merge_and_unload(safe_merge=True)  # it adds to copies: `values` stay as they are
    except ValueError as error:  # peft's for sums that are infinite or not numbers
        raise ModelError(
            "the adapter is too large: weights to which it is added are infinite or not numbers",
            where=str(folder),
            fix="Train it again with a lower train.learning_rate.",
        ) from error
    _replaced[network] = values
    return network


def _obstacle(adapted: Any, weights: Sequence[Any]) -> str | None:
    """Why the adapter cannot be added to these weights; None if it can."""
    owners = Counter(id(one) for module in adapted.modules() for one in module.parameters(recurse=False))
    if any(weight is None or not weight.is_floating_point() for weight in weights):
        return "they are quantised"
    network = adapted.get_base_model()
    if is_sharded(network) or is_split(network) or any(weight.is_meta for weight in weights):
        return "they are not all in this process's memory"
    if any(owners[id(weight)] > 1 for weight in weights):
        return "the adapted embedding and the LM head are one weight"
    if not all(bool(one.isfinite().all()) for name, one in adapted.named_parameters() if "lora_" in name):
        return "it has values that are not finite"
    return None


def put_back(network: Any) -> None:
    """Give the network the weights, to the bit, that it had before an adapter was added to them."""
    for parameter, values in _replaced.pop(network, []):
        parameter.data = values
