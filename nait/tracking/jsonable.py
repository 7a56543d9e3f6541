"""Plain values: what a metric, a config or a table may hold, as JSON has it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

BINS = 64


def plain(value: Any) -> Any:
    """`value` as JSON types. NaN and infinity become None, a path its text, an unknown object its `str`."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in (sorted(value) if isinstance(value, (set, frozenset)) else value)]
    return value.as_posix() if isinstance(value, Path) else str(value)


def histogram(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64], int]:
    """Counts [BINS] and edges [BINS + 1] of the finite values, and how many values are not finite."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    finite = numbers[np.isfinite(numbers)]
    counts, edges = np.histogram(finite, bins=BINS)
    return counts.astype(np.int64), edges, len(numbers) - len(finite)
