"""Frozen KV cache: the keys and values of a prefix, shared by any number of rows.

A cache of transformers keeps every row's keys and values of all layers until the forward pass ends. This one stores
only the prefix: each layer gets the prefix's and the rows' keys and values together, and they are not kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    import torch


class FrozenLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values [1, H, P, d] of a prefix. Updates are returned, not stored."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values of the prefix, then these [B, H, T, d]."""
        import torch

        rows = len(key_states)
        keys = torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2)
        return keys, torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2)


def empty() -> Any:
    """A cache that keeps all keys and values, also beyond a sliding window."""
    return DynamicCache()


def frozen(cache: Any, *, tokens: int) -> Any | None:
    """Frozen cache of a prefix of `tokens` tokens; None if a layer keeps state other than keys and values."""
    layers = cache.layers
    if not layers or any(
        type(layer) is not DynamicLayer or layer.get_seq_length() != tokens for layer in layers
    ):
        return None
    return Cache(layers=[FrozenLayer(layer.keys, layer.values) for layer in layers])


def thawed(cache: Any) -> Any:
    """A cache that begins with a frozen cache's keys and values and keeps what is added to it."""
    copy = DynamicCache()
    for frozen_layer in cache.layers:
        layer = DynamicLayer()
        layer.lazy_initialization(frozen_layer.keys, frozen_layer.values)
        layer.keys, layer.values = frozen_layer.keys, frozen_layer.values
        copy.layers.append(layer)
    return copy
