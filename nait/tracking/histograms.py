"""Histograms of scores and other values, as trackers record them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 64


def histogram(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], int]:
    """Counts [BINS] and edges [BINS + 1] of the finite values, and the number of values that are not finite."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    counts, edges = np.histogram(finite, bins=BINS)
    return counts.astype(np.int64), edges, len(numbers) - len(finite)
