"""Micro-batches: the rows of one update, split by length under a budget of padded tokens.

Shapes: N rows of the update, B rows and T tokens of a micro-batch, S = B x T, K answer tokens that are predicted.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.core.dataset.token_table import TokenTable
from nait.models.tokens.batches import Rows, batch_width
from nait.models.tokens.uneven_rows import cheapest

if TYPE_CHECKING:
    import torch

Ints = npt.NDArray[np.int64]


def deal(lengths: Ints, most_tokens: int, count: int, *, overhead: float = 0.0) -> list[Rows]:
    """Places in `lengths` [N] of the rows of each of `count` processes, which take them about equally long.

    Each has neighbours in the order of length, so that its micro-batches have as little padding as a single process
    has: the sorted rows are cut where the cost of their best split reaches 1/count, 2/count, ... of all.
    """
    order, cost, _ = cheapest(lengths, most_tokens, overhead)
    cuts = [int(np.argmin(np.abs(cost - cost[-1] * part / count))) for part in range(count + 1)]
    return [order[start:end] for start, end in itertools.pairwise(cuts)]


def split_packed(lengths: Ints, most_tokens: int) -> list[Rows]:
    """Places in `lengths` [N] of each packed micro-batch's rows. Rows are taken longest first, batch after batch."""
    batches: list[list[int]] = []
    free = 0
    for place in np.argsort(-lengths, kind="stable"):
        if not batches or lengths[place] > free:
            batches.append([])
            free = most_tokens
        batches[-1].append(int(place))
        free -= int(lengths[place])
    return [np.array(rows, dtype=np.int64) for rows in batches]


@dataclass(frozen=True)
class MicroBatch:
    """Token ids [B, T]; the flat places [K] of the states that predict an answer token, and these tokens [K].

    `options` are further arguments of the decoder: none with padding on the right, since no real token attends to a
    pad; the restarting positions [1, S] when the rows are packed into one sequence.
    """

    input_ids: torch.Tensor
    places: torch.Tensor
    labels: torch.Tensor
    options: dict[str, Any]


def padded(table: TokenTable, rows: Rows, *, fill_id: int, device: Any) -> MicroBatch:
    """The rows as a batch, padded on the right, at most as wide as the table's longest row: that fits the model."""
    width = batch_width(table, rows)
    ids = np.full((len(rows), width), fill_id, dtype=np.int64)
    for b, row in enumerate(rows):
        own, _ = table.row(int(row))
        ids[b, : len(own)] = own
    starts = width * np.arange(len(rows))
    return _moved(table, rows, ids, starts, {}, device)


def packed(table: TokenTable, rows: Rows, *, device: Any) -> MicroBatch:
    """The rows as one sequence without padding, whose positions restart at each row."""
    lengths = table.lengths[rows]
    ids = np.concatenate([table.row(int(row))[0] for row in rows]).astype(np.int64)[None]
    positions = np.concatenate([np.arange(length) for length in lengths])[None]
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return _moved(table, rows, ids, starts, {"position_ids": positions}, device)


def _moved(
    table: TokenTable, rows: Rows, ids: Ints, starts: Ints, options: dict[str, Ints], device: Any
) -> MicroBatch:
    import torch

    places, labels = [], []
    for row, start in zip(rows, starts, strict=True):
        own, answer = table.row(int(row))
        learned = np.flatnonzero(
            answer[1:]
        )  # the places before answer tokens; the first token has no context
        places.append(start + learned)
        labels.append(own[1:][learned])
    arrays = {
        "input_ids": ids,
        "places": np.concatenate(places),
        "labels": np.concatenate(labels).astype(np.int64),
        **options,
    }
    found = {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}
    return MicroBatch(
        found["input_ids"], found["places"], found["labels"], {name: found[name] for name in options}
    )
