"""Arrivals: a batch's values on their way to the host, while the device reads the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Values = npt.NDArray[Any]
"""A signal's values for a batch or a chunk of rows."""


class Arrival:
    """The values of one batch, a tensor a signal. Copies from a GPU begin here, to pinned memory; `arrays` waits."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        import torch

        # Of CUDA alone torch gives a copy pinned memory, and an event that says when it is there.
        self.tensors = [one.to("cpu", non_blocking=one.is_cuda) for one in tensors]
        self.events = []
        for device in {one.device for one in tensors if one.is_cuda}:
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(device))
            self.events.append(event)

    def arrays(self) -> list[Values]:
        """One array a signal, once all are there."""
        for event in self.events:
            event.synchronize()
        return [one.numpy() for one in self.tensors]


def joined(arrivals: Sequence[Arrival]) -> list[Values]:
    """One array a signal of a batch that was read in parts."""
    parts = [arrival.arrays() for arrival in arrivals]
    return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
