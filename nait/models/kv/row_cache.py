"""Keys and values of rows that continue a shared prefix. Rows join and leave while others continue.

Row `i` keeps its own tokens in columns 0 to `lengths[i] - 1` of its slot. Later columns hold pads, which no token of
the row sees and the row's next tokens overwrite.

Shapes: B rows, T new tokens, N slots, C columns, K key heads, d head size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from transformers.cache_utils import Cache, DynamicLayer

from nait.models.kv.shared_attention import Step

if TYPE_CHECKING:
    import torch

COLUMNS = 64
"""Slots grow by a multiple of this many columns."""
WIDTH = 16
"""Attention reads a multiple of this many columns, so that few shapes occur."""


class RowLayer(DynamicLayer):  # type: ignore[misc]
    """One layer's keys and values [N, K, C, d], of which a step reads the first B rows and W columns."""

    step: Step

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store these keys and values [B, K, T, d] in their columns; the rows' own keys and values [B, K, W, d]."""
        step, rows = self.step, len(key_states)
        if step.fresh:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states, value_states
            return key_states, value_states
        import torch

        row = torch.arange(rows, device=key_states.device)[:, None]
        places = step.places.to(key_states.device)
        self.keys[row, :, places] = key_states.transpose(1, 2)
        self.values[row, :, places] = value_states.transpose(1, 2)
        return self.keys[:rows, :, : step.width], self.values[:rows, :, : step.width]


class RowCache:
    """The own tokens of `count` rows behind a prefix of `prefix_tokens` tokens."""

    def __init__(
        self, layers: list[RowLayer], lengths: torch.Tensor, prefix: Any | None, tokens: int
    ) -> None:
        self.layers = layers
        self.lengths = lengths
        self.prefix = prefix
        self.prefix_tokens = tokens

    @classmethod
    def of(cls, lengths: torch.Tensor, prefix: Any | None, tokens: int, layers: int) -> RowCache:
        """Rows of these lengths [B], whose first forward fills the cache."""
        return cls([RowLayer() for _ in range(layers)], lengths, prefix, tokens)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.lengths)

    def step(self, new: int, *, soft_cap: bool, fresh: bool) -> Step:
        """The forward of `new` tokens per row, with room for them."""
        import torch

        offsets = torch.arange(new, device=self.lengths.device)
        places = (torch.zeros_like(self.lengths) if fresh else self.lengths)[:, None] + offsets
        width = new
        if not fresh:
            needed = int(self.lengths.max()) + new
            self._reserve(self.count, needed)
            width = min(_above(needed, WIDTH), self.layers[0].keys.shape[2])
        held = (
            () if self.prefix is None else tuple((layer.keys, layer.values) for layer in self.prefix.layers)
        )
        step = Step(places, width, self.prefix_tokens, held, soft_cap=soft_cap, fresh=fresh)
        for layer in self.layers:
            layer.step = step
        return step

    def positions(self, step: Step) -> torch.Tensor:
        """Positions [B, T] of the step's tokens in their texts."""
        return step.places + self.prefix_tokens

    def cache(self) -> Any:
        """The cache that a decoder is given."""
        return Cache(layers=self.layers)

    def select(self, rows: torch.Tensor) -> RowCache:
        """A copy of these rows, in this order; a row may occur several times."""
        copies = []
        for layer in self.layers:
            copy = RowLayer()
            copy.lazy_initialization(layer.keys, layer.values)
            at = rows.to(layer.keys.device)
            copy.keys, copy.values = layer.keys[at], layer.values[at]
            copies.append(copy)
        return RowCache(copies, self.lengths[rows], self.prefix, self.prefix_tokens)

    def join(self, other: RowCache) -> None:
        """Append the rows of `other`, which have the same prefix."""
        import torch

        held = self.count
        width = int(torch.cat([self.lengths, other.lengths]).max())
        self._reserve(held + other.count, width)
        for mine, theirs in zip(self.layers, other.layers, strict=True):
            columns = min(width, theirs.keys.shape[2])
            mine.keys[held : held + other.count, :, :columns] = theirs.keys[: other.count, :, :columns]
            mine.values[held : held + other.count, :, :columns] = theirs.values[: other.count, :, :columns]
        self.lengths = torch.cat([self.lengths, other.lengths])

    def drop(self, row: int) -> None:
        """Remove a row. The last row takes its place."""
        last = self.count - 1
        if row != last:
            self.lengths[row] = self.lengths[last]
            for layer in self.layers:
                layer.keys[row], layer.values[row] = layer.keys[last], layer.values[last]
        self.lengths = self.lengths[:last]

    def _reserve(self, rows: int, columns: int) -> None:
        """Make room for this many rows and columns."""
        for layer in self.layers:
            slots, heads, width, _ = layer.keys.shape
            if slots >= rows and width >= columns and layer.keys.is_contiguous():
                continue  # a decoder's own keys are not contiguous, and every step would copy them
            size = max(slots, rows), heads, max(width, _above(columns, COLUMNS))
            for name in ("keys", "values"):
                old = getattr(layer, name)
                new = old.new_zeros((*size, old.shape[-1]))
                new[:slots, :, :width] = old
                setattr(layer, name, new)


def _above(number: int, step: int) -> int:
    """The smallest multiple of `step` that is not below `number`."""
    return -(-number // step) * step
