"""Peak throughput: floating point operations of a pass, and the speed of large matrix products."""

from __future__ import annotations

from typing import Any

from benchmarks.lines import alternate
from nait.core.dataset.token_table import TokenTable

SIDES = {"cpu": 2048, "cuda": 8192}
PRODUCTS = 4


def operations(network: Any, table: TokenTable) -> float:
    """Floating point operations of one forward of the decoder over the real tokens: weights and attention.

    A token costs 2 operations per weight. Row i with T_i tokens costs 2 T_i^2 D per layer of causal attention (scores
    and weighted sums).
    """
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    decoder, config = network.get_decoder(), network.config
    weights = sum(part.weight.numel() for part in decoder.modules() if isinstance(part, nn.Linear | Conv1D))
    lengths = table.lengths
    attention = 2.0 * float((lengths**2).sum()) * config.hidden_size * config.num_hidden_layers
    return 2.0 * weights * float(lengths.sum()) + attention


def peak(device: str, dtype: str) -> float:
    """Operations per second of large square matrix products on this device with this dtype."""
    import torch

    side = SIDES.get(device.partition(":")[0], SIDES["cpu"])
    kind: Any = getattr(torch, dtype)
    a, b = (torch.randn(side, side, device=device).to(kind) for _ in range(2))

    def products() -> None:
        for _ in range(PRODUCTS):
            a @ b

    (seconds,) = alternate([products], rounds=3, device=device)
    return PRODUCTS * 2.0 * side**3 / seconds
