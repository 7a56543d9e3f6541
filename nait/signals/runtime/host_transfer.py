"""Host transfer: asynchronous copies of a batch's values to the CPU, while the device runs the next batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Values = npt.NDArray[Any]
"""A signal's values for a batch or a chunk of rows."""


class HostTransfer:
    """Values of one batch, one tensor per signal. Copies from a GPU start here, to pinned memory; `arrays` waits."""

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        import torch

        # Only for CUDA does torch copy to pinned memory and offer an event that marks the end of the copy.
        self.tensors = [one.to("cpu", non_blocking=one.is_cuda) for one in tensors]
        self.events = []
        for device in {one.device for one in tensors if one.is_cuda}:
            event = torch.cuda.Event()
            event.record(torch.cuda.current_stream(device))
            self.events.append(event)

    def arrays(self) -> list[Values]:
        """One array per signal. Waits for the copies to finish."""
        for event in self.events:
            event.synchronize()
        return [one.numpy() for one in self.tensors]


def joined(transfers: Sequence[HostTransfer]) -> list[Values]:
    """One array per signal, for a batch that was read in parts."""
    parts = [transfer.arrays() for transfer in transfers]
    return parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
