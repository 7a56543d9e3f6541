"""The trainer's data set: row numbers of a token table. An update's tokens are copied when it is split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nait.core.dataset.token_table import TokenTable
from nait.core.errors import DataError

ROWS = "rows"
"""The key of an update's row numbers in the trainer's batches."""


@dataclass(frozen=True)
class RowNumbers:
    """A data set of row numbers."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> int:
        return int(i)


def gather(rows: Sequence[int]) -> dict[str, list[int]]:
    """The row numbers of one update, as the trainer passes them on."""
    return {ROWS: list(rows)}


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
