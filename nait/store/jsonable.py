"""Values as plain JSON types."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np


def plain(value: Any, *, finite: bool = True) -> Any:
    """`value` as JSON types: a set sorted, an enum its value, a path and an unknown object their text.

    NaN and infinity become None. With `finite=False` they stay as they are.
    """
    if isinstance(value, np.generic):
        value = value.item()
    elif isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, Enum):
        value = value.value
    elif isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, float):
        return value if math.isfinite(value) or not finite else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, finite=finite) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, finite=finite) for item in value]
    return value.as_posix() if isinstance(value, Path) else str(value)
