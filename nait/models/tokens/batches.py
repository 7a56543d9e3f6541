"""Batches: rows sorted by length, and split by a budget of padded tokens.

Shapes: B rows, T tokens (the longest row of the batch). With padding on the right and causal attention, no
real token attends to a pad: the decoder needs no attention mask, and attention uses its fast causal kernel.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable

if TYPE_CHECKING:
    import torch

Side = Literal["right", "left"]
Rows = npt.NDArray[np.int64]


STEP = 32
"""Widths are rounded up to a multiple of about width / STEP: 2 % more tokens, and few distinct shapes."""


def width_of(longest: int) -> int:
    """Padded width (tokens) of a batch whose longest row has `longest` tokens.

    Matrix libraries cache compiled kernels for every shape, about a megabyte each on a CPU. Without rounding, memory
    would grow with the number of batches.
    """
    step: int = 1 << max(0, (max(1, longest) - 1).bit_length() - STEP.bit_length() + 1)
    return -(-longest // step) * step


def batch_width(table: TokenTable, rows: Rows) -> int:
    """Padded width (tokens) of a batch of these rows: at most that of the table's longest, which fits the model.

    Beyond its context, a model has no positions, or encodes all of them in another way.
    """
    return min(width_of(int(table.lengths[rows].max())), table.longest)


def plan(lengths: npt.NDArray[np.int64], batch_tokens: int) -> list[Rows]:
    """Batches of row numbers, longest rows first. A row longer than the budget gets its own batch.

    With the longest rows first, out of memory occurs at the start, and the progress bar's remaining time is an upper
    bound.
    """
    order = np.argsort(-lengths, kind="stable")
    batches, at = [], 0
    while at < len(order):
        size = max(1, batch_tokens // width_of(max(1, int(lengths[order[at]]))))
        batches.append(order[at : at + size])
        at += size
    return batches


@dataclass(frozen=True)
class Batch:
    """Padded token ids [B, T], first and last real position of each row [B], mask of real positions [B, T].

    `attention_mask` and `position_ids` are None with padding on the right.
    """

    rows: Rows
    input_ids: torch.Tensor
    answer: torch.Tensor
    first: torch.Tensor
    last: torch.Tensor
    prompt_end: torch.Tensor
    real: torch.Tensor
    attention_mask: torch.Tensor | None
    position_ids: torch.Tensor | None

    def on(self, device: torch.device) -> Batch:
        """The batch on another device; itself if it is already there."""
        import torch

        if self.real.device == device:
            return self
        held: dict[str, Any] = {
            name: value.to(device) for name, value in vars(self).items() if isinstance(value, torch.Tensor)
        }
        return replace(self, **held)

    def part(self, places: slice | list[int]) -> Batch:
        """The rows at these places, with the same width."""
        held: dict[str, Any] = {
            name: value[places] for name, value in vars(self).items() if value is not None
        }
        return replace(self, **held)

    @property
    def tokens(self) -> int:
        """Real tokens in the batch."""
        return int((self.last - self.first + 1).sum())


def collate(table: TokenTable, rows: Rows, *, fill_id: int, device: str, side: Side = "right") -> Batch:
    """The batch of these rows of `table`, on `device`."""
    import torch

    lengths, width = table.lengths[rows], batch_width(table, rows)
    ids = np.full((len(rows), width), fill_id, dtype=np.int64)
    answer = np.zeros((len(rows), width), dtype=bool)
    start = np.zeros(len(rows), dtype=np.int64) if side == "right" else width - lengths
    for i, row in enumerate(rows):
        row_ids, row_answer = table.row(int(row))
        span = slice(int(start[i]), int(start[i] + lengths[i]))
        ids[i, span], answer[i, span] = row_ids, row_answer
    columns = np.arange(width)[None, :]
    real = (columns >= start[:, None]) & (columns < (start + lengths)[:, None])
    tensors = [_to(torch.from_numpy(array), device) for array in (ids, answer, real)]
    first, last, prompt_end = (
        _to(torch.from_numpy(np.asarray(array)), device)
        for array in (start, start + lengths - 1, _prompt_end(answer, start, lengths))
    )
    mask = positions = None
    if side == "left":
        mask = tensors[2].long()
        positions = positions_of(mask)
    return Batch(rows, tensors[0], tensors[1], first, last, prompt_end, tensors[2], mask, positions)


def positions_of(mask: torch.Tensor) -> torch.Tensor:
    """Positions [B, T] that do not count padding, from a mask [B, T] of real positions."""
    return (mask.long().cumsum(dim=1) - 1).clamp(min=0)


def _prompt_end(answer: npt.NDArray[np.bool_], start: Rows, lengths: Rows) -> Rows:
    """Position [B] before the first answer token; the first real position if there is no prompt."""
    first_answer = np.where(answer.any(axis=1), answer.argmax(axis=1), start + lengths)
    return np.asarray(np.maximum(first_answer - 1, start))


def _to(tensor: torch.Tensor, device: str) -> torch.Tensor:
    if device.startswith("cuda"):
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
