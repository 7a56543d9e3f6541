"""The share of an update that each process of a group computes, and the sum of their gradients.

Every process runs the same loop with the same optimiser. Each computes the gradient of its rows, and all add the sum
of the group's gradients, so their weights stay equal bit by bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.core.errors import ModelError, NaitError
from nait.core.ranks import Workers
from nait.models.devices import process_group
from nait.models.tokens.batches import Rows
from nait.training.updates.micro_batches import deal

if TYPE_CHECKING:
    import torch

Ints = npt.NDArray[np.int64]

DONE, AGAIN, END = 0, 1, 1 << 40
"""What a process says after its share: it is done, it was out of memory, or training ends."""
DEALT_TOKENS = 512
"""Padded tokens of the micro-batches by which the work of an update's rows is estimated."""


class ShareError(RuntimeError):
    """A process cannot do its share of an update whose passes all processes run together: all have to end."""


class TrainingEnded(NaitError):  # noqa: N818  # rank 0 has the error
    """Rank 0 ended a training before its last update."""


def share(rows: Rows, lengths: Ints, workers: Workers, *, overhead: float) -> Rows:
    """The rows of an update that this process computes: about as much work as each other process has.

    `lengths` [N]: the tokens of all rows. `overhead`: the tokens that starting a micro-batch costs. The shares depend
    on nothing that differs between processes, such as their memory.
    """
    return rows[deal(lengths[rows], DEALT_TOKENS, workers.count, overhead=overhead)[workers.rank]]


def seed_share(seed: int, step: int, workers: Workers) -> None:
    """Seed this process's dropout for one update: other draws for each process, the same for a resumed run."""
    import torch

    (state,) = np.random.SeedSequence([seed, step, workers.rank]).generate_state(1).tolist()
    torch.manual_seed(state)


def all_done(*, out_of_memory: bool) -> bool:
    """Whether every process has computed its share. Raises: TrainingEnded if rank 0 ended the training."""
    return agreed(AGAIN if out_of_memory else DONE) == DONE


def agreed(number: int) -> int:
    """The largest number of all processes. Raises: TrainingEnded if rank 0 ended the training."""
    said = process_group.largest(number)
    if said == END:
        raise TrainingEnded("rank 0 ended the training", where="train")
    return said


@contextmanager
def opening_together(workers: Workers) -> Iterator[None]:
    """Within the block each process opens the network that all will shard.

    Raises: the block's error, in rank 0; TrainingEnded in the others if rank 0 has one; ShareError if only this
    process has one.
    """
    try:
        yield
    except NaitError as error:
        if workers.rank == 0:
            end_training()
            raise
        agreed(0)
        raise ShareError(str(error)) from error
    agreed(0)


def end_training() -> None:
    """End the training in the other processes, which wait for this one to do its share of the next update."""
    process_group.largest(END)


def add_gradients(parameters: Sequence[Any], loss: torch.Tensor) -> None:
    """Replace the loss and each parameter's gradient by their sums over the processes."""
    import torch

    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    process_group.add_up([*(parameter.grad for parameter in parameters), loss])


def check_equal(parameters: Sequence[Any]) -> None:
    """Raises: ModelError if the trained weights of two processes differ."""
    import torch

    found = process_group.gather([torch.hash_tensor(parameter.detach()).item() for parameter in parameters])
    if any(one != found[0] for one in found):
        raise ModelError(
            "the processes opened different weights",
            where="train",
            fix="Run the same versions of torch, transformers and peft on every machine.",
        )
