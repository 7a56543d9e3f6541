"""Rows for the trainer: a token table read row by row, padded to the longest row of a batch.

Labels are the ids at answer tokens and -100 elsewhere. Shapes: B rows a batch, T tokens a row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import DataError

IGNORED = -100


@dataclass(frozen=True)
class Rows:
    """A dataset whose items are row numbers: tokens are copied when their batch is made, not before."""

    table: TokenTable

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int) -> int:
        return int(i)


@dataclass(frozen=True)
class Padding:
    """Turns row numbers into a batch [B, T], padded on the right.

    Right padding and an attention mask make the padding's id irrelevant: no real token looks at it, and it
    has no label. So the vocabulary never needs a padding token of its own.
    """

    table: TokenTable
    pad_id: int = 0

    def __call__(self, rows: Sequence[int]) -> dict[str, Any]:
        import torch

        pieces = [self.table.row(i) for i in rows]
        shape = (len(pieces), max(len(ids) for ids, _ in pieces))
        input_ids = np.full(shape, self.pad_id, dtype=np.int64)
        labels = np.full(shape, IGNORED, dtype=np.int64)
        mask = np.zeros(shape, dtype=np.int64)
        for b, (ids, answer) in enumerate(pieces):
            input_ids[b, : len(ids)] = ids
            labels[b, : len(ids)] = np.where(answer, ids, IGNORED)
            mask[b, : len(ids)] = 1
        batch = {"input_ids": input_ids, "attention_mask": mask, "labels": labels}
        return {name: torch.from_numpy(array) for name, array in batch.items()}


def padding_id(tokenizer: Any) -> int:
    """The tokenizer's padding id, else its end id, else 0: an id that is in the vocabulary either way."""
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return int(token_id)
    return 0


def check_trainable(table: TokenTable) -> None:
    """Nothing, when each row has an answer token to learn. Raises: DataError that counts the rows without.

    A row's first token is predicted from nothing, so an answer there alone does not count.
    """
    if not len(table):
        raise DataError("there is no row to train on", where="train", mend="Raise the budget.")
    learnable = np.array([bool(table.row(i)[1][1:].any()) for i in range(len(table))])
    if not learnable.all():
        raise DataError(
            f"{int((~learnable).sum())} of {len(table)} rows have no answer token (the first is row "
            f"{int(np.flatnonzero(~learnable)[0])})",
            where="train",
            mend="Raise model.max_length, or leave out rows whose answer is cut off.",
        )
