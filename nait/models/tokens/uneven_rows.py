"""The cheapest split of a few rows of unlike lengths into batches: little padding, and few batches.

Shapes: N rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nait.models.anatomy import Anatomy
from nait.models.tokens.batches import Rows, width_of

Ints = npt.NDArray[np.int64]

OVERHEAD_OPERATIONS = {"cpu": 7e7, "other": 7e11}
"""The cost of starting one block's kernels, as the floating point operations that a device could do meanwhile."""
READING_TOKENS = {"cpu": 48.0, "other": 0.0}
"""The tokens that could be trained in the time that a batch takes to read the weights, whatever the model's size.

Measured with 100 million weights on two cores: an update of 16 rows takes 0.91 of the time of a split without it. On
a GPU it is not measured, and small beside the start of the kernels.
"""


def split(lengths: Ints, most_tokens: int, *, overhead: float = 0.0) -> list[Rows]:
    """Places in `lengths` [N] of each batch's rows: longest rows first, so that out of memory occurs early.

    Of all splits of the sorted rows whose batches have at most `most_tokens` padded tokens, this one has the least
    padded tokens plus `overhead` tokens for each batch. A row longer than the budget gets its own.

    In a large pool, whose neighbours are alike, `batches.plan` has almost no padding and is faster.
    """
    order, _, start = cheapest(lengths, most_tokens, overhead)
    batches, end = [], len(order)
    while end:
        batches.append(order[start[end] : end])
        end = int(start[end])
    return batches[::-1]


def cheapest(lengths: Ints, most_tokens: int, overhead: float) -> tuple[Rows, npt.NDArray[np.float64], Ints]:
    """The rows by length; the least cost [N + 1] of the first rows; the start [N + 1] of the last batch."""
    order = np.argsort(-lengths, kind="stable")
    widths = np.array([width_of(int(lengths[row])) for row in order], dtype=np.int64)
    count = len(order)
    cost, start = np.zeros(count + 1), np.zeros(count + 1, dtype=np.int64)
    least = 0  # the first start from which a batch to this end fits the budget
    for end in range(1, count + 1):
        while least < end - 1 and widths[least] * (end - least) > most_tokens:
            least += 1
        padded = widths[least:end] * np.arange(end - least, 0, -1)  # of a batch from each start to this end
        total = cost[least:end] + padded + overhead
        start[end] = least + int(np.argmin(total))
        cost[end] = total[start[end] - least]
    return order, cost, start


def overhead_tokens(anatomy: Anatomy, device: Any) -> float:
    """The tokens that could be trained in the time that a further batch takes: to start kernels, or to read weights.

    A token takes 4 operations per weight of the blocks: forward, and backward to the activations. A forward alone
    takes half the operations and starts half the kernels.
    """
    weights = sum(p.numel() for block in anatomy.blocks for p in block.parameters())
    operations = OVERHEAD_OPERATIONS.get(device.type, OVERHEAD_OPERATIONS["other"])
    reading = READING_TOKENS.get(device.type, READING_TOKENS["other"])
    return max(reading, anatomy.layers * operations / (4.0 * max(1, weights)))
