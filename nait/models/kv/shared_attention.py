"""Attention of rows to a shared prefix and to their own tokens.

The keys and values of the prefix exist once, not once per row. A step of one token reads them once for all rows; a
longer step concatenates them, layer by layer, with each row's own.

Shapes: B rows, T new tokens, W own tokens (new ones included), P prefix tokens, H query heads, K key heads,
G = H / K, d head size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nait.core.errors import ModelError

if TYPE_CHECKING:
    import torch

NAME = "nait_shared_prefix"
"""The name under which this attention is registered with transformers."""


@dataclass
class Step:
    """One forward of T new tokens per row. `places` [B, T] are their columns among the row's own tokens.

    `prefixes` has the prefix's keys and values [1, K, P, d] of each layer; it is empty without a prefix. `called` and
    `windows` record the layers that used this attention, and their sliding windows.
    """

    places: torch.Tensor
    width: int
    prefix_tokens: int
    prefixes: tuple[tuple[torch.Tensor, torch.Tensor], ...]
    soft_cap: bool
    fresh: bool
    called: set[int] = field(default_factory=set)
    windows: set[int] = field(default_factory=set)
    _masks: dict[tuple[int | None, Any], torch.Tensor] = field(default_factory=dict)

    def mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        """What is added to the scores, [B or 1, 1, T, P + W]: 0 where a query sees a key, else the lowest number."""
        key = (window, like.device)
        if key not in self._masks:
            self._masks[key] = self._mask(window, like)
        return self._masks[key]

    def _mask(self, window: int | None, like: torch.Tensor) -> torch.Tensor:
        import torch

        places = (self.places[:1] if self.fresh else self.places).to(like.device)
        columns = torch.arange(-self.prefix_tokens, self.width, device=like.device)
        distance = places[:, :, None] - columns
        seen = distance >= 0
        if window is not None:
            seen &= distance < window
        mask = torch.zeros(seen.shape, dtype=like.dtype, device=like.device)
        return mask.masked_fill_(~seen, torch.finfo(like.dtype).min)[:, None]


_STEP: ContextVar[Step] = ContextVar("step")


@contextmanager
def attending(decoder: Any, step: Step) -> Iterator[None]:
    """Context in which the decoder's layers use this attention for `step`."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)
    configs = {id(module.config): module.config for module in decoder.modules() if hasattr(module, "config")}
    kept = [(config, config._attn_implementation) for config in configs.values()]
    token = _STEP.set(step)
    try:
        for config, _ in kept:
            config._attn_implementation = NAME
        yield
    finally:
        _STEP.reset(token)
        for config, name in kept:
            config._attn_implementation = name


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: Any,
    scaling: float | None = None,
    dropout: float = 0.0,  # noqa: ARG001
    sliding_window: int | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Output [B, T, H, d] of queries [B, H, T, d] over own keys [B, K, W, d] and the prefix's. transformers calls it.

    Raises: ModelError for a kind of attention that is not known here.
    """
    step = _STEP.get()
    if options.get("s_aux") is not None or options.get("position_bias") is not None:
        raise ModelError("its attention has sinks or biases that a shared prefix does not support")
    layer = int(module.layer_idx)
    step.called.add(layer)
    if sliding_window is not None:
        step.windows.add(layer)
    heads = Heads(
        scaling=query.shape[-1] ** -0.5 if scaling is None else scaling,
        window=sliding_window,
        soft_cap=softcap if step.soft_cap else None,
        prefix=step.prefixes[layer] if step.prefixes else None,
    )
    if query.shape[2] == 1:
        output = _one(heads, step, query, key, value)
    elif heads.soft_cap is not None:
        output = _capped(heads, step, query, key, value)
    else:
        output = _many(heads, step, query, key, value)
    return output.transpose(1, 2), None


@dataclass(frozen=True)
class Heads:
    """A layer's attention: scale, sliding window, soft cap of the scores, and its prefix's keys and values."""

    scaling: float
    window: int | None
    soft_cap: float | None
    prefix: tuple[torch.Tensor, torch.Tensor] | None

    def whole(self, key: torch.Tensor, value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The prefix's keys and values, then each row's."""
        import torch

        if self.prefix is None:
            return key, value
        rows = len(key)
        return (
            torch.cat([self.prefix[0].expand(rows, -1, -1, -1), key], dim=2),
            torch.cat([self.prefix[1].expand(rows, -1, -1, -1), value], dim=2),
        )

    def weights(self, scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attention weights from scaled scores, in the scores' dtype."""
        import torch

        if self.soft_cap is not None:
            scores = (scores / self.soft_cap).tanh() * self.soft_cap
        return torch.softmax(scores + mask, dim=-1, dtype=torch.float32).to(scores.dtype)


def _many(
    heads: Heads, step: Step, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """Attention of several new tokens, by torch's kernel."""
    from torch.nn.functional import scaled_dot_product_attention

    causal = step.fresh and heads.prefix is None and heads.window is None
    keys, values = heads.whole(key, value)
    return scaled_dot_product_attention(
        query,
        _repeated(keys, query.shape[1]),
        _repeated(values, query.shape[1]),
        attn_mask=None if causal else step.mask(heads.window, query),
        is_causal=causal,
        scale=heads.scaling,
    )


def _capped(
    heads: Heads, step: Step, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """Attention of several new tokens whose scores have a soft cap, which torch's kernel lacks."""
    keys, values = (_repeated(states, query.shape[1]) for states in heads.whole(key, value))
    scores = (query @ keys.transpose(-1, -2)) * heads.scaling
    return heads.weights(scores, step.mask(heads.window, query)) @ values


def _one(
    heads: Heads, step: Step, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor
) -> torch.Tensor:
    """Attention of one new token per row. The prefix is one matrix product per key head, over all rows."""
    import torch

    rows, count = query.shape[:2]
    groups = key.shape[1]
    q_bkgd = (query[:, :, 0] * heads.scaling).reshape(rows, groups, count // groups, -1)
    scores = q_bkgd @ key.transpose(-1, -2)
    if heads.prefix is not None:
        shared = _by_head(q_bkgd) @ heads.prefix[0][0].transpose(-1, -2)
        scores = torch.cat([_by_row(shared, rows), scores], dim=-1)
    weights = heads.weights(scores, step.mask(heads.window, query))
    output = weights[..., step.prefix_tokens :] @ value
    if heads.prefix is not None:
        shared = _by_head(weights[..., : step.prefix_tokens]) @ heads.prefix[1][0]
        output = output + _by_row(shared, rows)
    return output.reshape(rows, count, 1, -1)


def _by_head(x_bkgn: torch.Tensor) -> torch.Tensor:
    """[K, B G, n]: all queries of a key head."""
    return x_bkgn.transpose(0, 1).reshape(x_bkgn.shape[1], -1, x_bkgn.shape[-1])


def _by_row(x_kbgn: torch.Tensor, rows: int) -> torch.Tensor:
    """[B, K, G, n], from the queries of each key head [K, B G, n]."""
    return x_kbgn.reshape(len(x_kbgn), rows, -1, x_kbgn.shape[-1]).transpose(0, 1)


def _repeated(states: torch.Tensor, heads: int) -> torch.Tensor:
    """Keys or values [B, H, W, d] of each query head."""
    rows, groups, width, size = states.shape
    if groups == heads:
        return states
    return (
        states[:, :, None]
        .expand(rows, groups, heads // groups, width, size)
        .reshape(rows, heads, width, size)
    )
