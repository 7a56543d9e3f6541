"""Random projection by a matrix of signs that is generated in blocks.

Shapes: B rows, P weights, S width of the projection. Entry (i, j) of the matrix is +-1 / sqrt(S). Its sign is
bit j % 64 of word i * S / 64 + j / 64 of the splitmix64 stream of `seed` (Steele et al., 2014), which allows
random access. Signs depend on integer arithmetic only, so every machine and device generates the same matrix. One
hash yields 64 signs.
"""

from __future__ import annotations

from functools import cache

import torch

from nait.signals.specs.gradients import WORD_BITS, Projection

BLOCK_ENTRIES = {"cpu": 1 << 19, "other": 1 << 24}
"""Signs in memory at once: 2 MB fit a CPU cache, 64 MB keep an accelerator busy."""
_GOLDEN, _MIX1, _MIX2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def project(
    u_bp: torch.Tensor, start: int, projection: Projection, *, block_entries: int | None = None
) -> torch.Tensor:
    """Product [B, S] of the weights `u_bp`, at `start` in the flat order of all P, with the matrix."""
    total = u_bp.new_zeros(len(u_bp), projection.dim)
    entries = block_entries or BLOCK_ENTRIES["cpu" if u_bp.device.type == "cpu" else "other"]
    step = max(1, entries // projection.dim)
    for at in range(0, u_bp.shape[1], step):
        part = u_bp[:, at : at + step]
        total.addmm_(part, signs(start + at, part.shape[1], projection, str(u_bp.device)))
    return total.mul_(projection.dim**-0.5)


def signs(start: int, count: int, projection: Projection, device: str = "cpu") -> torch.Tensor:
    """Rows `start` to `start + count` of the matrix: [count, S] of +-1 in float32, without the scale."""
    words = projection.dim // WORD_BITS
    place = torch.arange(start * words, (start + count) * words, dtype=torch.int64, device=device)
    # A little-endian view: byte 0 of a word holds its bits 0 to 7.
    codes = _splitmix(place, projection.seed).view(torch.uint8)
    return torch.nn.functional.embedding(codes.int(), _table(device)).view(count, projection.dim)


def _splitmix(place: torch.Tensor, seed: int) -> torch.Tensor:
    """Words `place` of the stream. int64 sums and products wrap around like unsigned ones."""
    z = place.add_(1).mul_(_signed(_GOLDEN)).add_(_signed(seed))
    z = (z ^ _shifted(z, 30)).mul_(_signed(_MIX1))
    z = (z ^ _shifted(z, 27)).mul_(_signed(_MIX2))
    return z ^ _shifted(z, 31)


def _shifted(z: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical (unsigned) right shift."""
    return (z >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _signed(value: int) -> int:
    return (value & (2**64 - 1)) - (2**64 if value & 2**63 else 0)


@cache
def _table(device: str) -> torch.Tensor:
    """Signs of each byte's bits [256, 8], lowest bit first."""
    bits = (torch.arange(256)[:, None] >> torch.arange(8)[None, :]) & 1
    return (bits * 2 - 1).float().to(device)
