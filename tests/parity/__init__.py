"""The methods against numbers made with their published code."""

from __future__ import annotations

from typing import Any

import numpy as np


def columns(rows: dict[str, Any], ids: tuple[str, ...], *names: str) -> list[np.ndarray]:
    """Each named number of the rows, in the order of the ids, in float64 where the reference has it so."""
    return [
        np.array([rows[key].get("float64", rows[key]).get(name, np.nan) for key in ids], dtype=np.float64)
        for name in names
    ]


def assert_same_ranking(ours: np.ndarray, theirs: np.ndarray) -> None:
    """Both rank the same rows, in one order."""
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    kept = ~np.isnan(ours)
    np.testing.assert_array_equal(
        np.argsort(-ours[kept], kind="stable"), np.argsort(-theirs[kept], kind="stable")
    )
