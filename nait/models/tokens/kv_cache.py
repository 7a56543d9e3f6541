"""Caches: a prefix's keys and values, from which any number of rows go on.

transformers' own cache would keep every row's keys and values of every layer until the pass is through the model;
this one hands them to the layer at work and forgets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

if TYPE_CHECKING:
    import torch


class FrozenLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values [1, H, P, d] of a prefix; rows that go on from them leave nothing behind."""

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix's keys and values, then these [B, H, T, d]."""
        import torch

        rows = len(key_states)
        keys = torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2)
        return keys, torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2)


def empty() -> Any:
    """A cache that keeps whatever keys and values a decoder gives it, those beyond a sliding window too."""
    return DynamicCache()


def frozen(cache: Any, *, tokens: int) -> Any | None:
    """The cache of a prefix of so many tokens; None where a layer keeps anything but its keys and values."""
    layers = cache.layers
    if not layers or any(
        type(layer) is not DynamicLayer or layer.get_seq_length() != tokens for layer in layers
    ):
        return None
    return Cache(layers=[FrozenLayer(layer.keys, layer.values) for layer in layers])
