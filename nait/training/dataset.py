"""The trainer's data set: rows of a token table, padded to the longest row of a batch.

Labels are the token ids of answers, and -100 elsewhere. Shapes: B rows per batch, T tokens per row.
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
    """A data set of row numbers. `Padding` copies the tokens when it makes a batch."""

    table: TokenTable

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int) -> int:
        return int(i)


@dataclass(frozen=True)
class Padding:
    """Collates row numbers into a batch [B, T], padded on the right.

    The padding id has no effect: causal attention and the mask hide it from real tokens, and it has no label. The
    vocabulary therefore needs no padding token.
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
    """The tokenizer's padding id, else its end-of-text id, else 0: always in the vocabulary."""
    for token_id in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if token_id is not None:
            return int(token_id)
    return 0


def check_trainable(table: TokenTable) -> None:
    """Check that each row has an answer token to train on. Raises: DataError with the number of rows that have none.

    The first token of a row has no context and no loss, so an answer there does not count.
    """
    if not len(table):
        raise DataError("there is no row to train on", where="train", fix="Raise the budget.")
    learnable = np.array([bool(table.row(i)[1][1:].any()) for i in range(len(table))])
    if not learnable.all():
        raise DataError(
            f"{int((~learnable).sum())} of {len(table)} rows have no answer token (the first is row "
            f"{int(np.flatnonzero(~learnable)[0])})",
            where="train",
            fix="Raise model.max_length, or remove rows whose answer is truncated.",
        )
