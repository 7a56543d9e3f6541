"""Rank correlation, with tied values sharing their mean rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def mean_ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """[N] 1-based ranks; ties get the mean of their places."""
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values)[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.concatenate([starts[1:], [len(ordered)]])
    places = np.repeat((starts + ends + 1) / 2, ends - starts)
    ranks = np.empty(len(ordered), dtype=np.float64)
    ranks[order] = places
    return ranks


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Spearman's rho over the rows where both are finite; NaN when either is constant there."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2:
        return float("nan")
    ra, rb = mean_ranks(a[both]), mean_ranks(b[both])
    ra, rb = ra - ra.mean(), rb - rb.mean()
    size = float(np.sqrt((ra @ ra) * (rb @ rb)))
    return float(ra @ rb) / size if size else float("nan")
