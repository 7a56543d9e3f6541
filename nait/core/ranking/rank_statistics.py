"""Rank statistics: a stable sort of scores, mean ranks, and Spearman's rank correlation."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def lowest_first(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Positions of the values [N] that are not NaN, lowest value first; ties by position.

    Sorts integers, which is faster than an argsort of floats: the upper bits hold the value, the lower bits its
    position. Values with equal upper bits are sorted again by their full value, so the order is exact.
    """
    words = _words(values)
    places = np.flatnonzero(~np.isnan(values))
    low = (1 << len(words).bit_length()) - 1
    keys = (words[places] & ~low) | places
    keys.sort()
    ranking = keys & low
    equal = keys[1:] & ~low == keys[:-1] & ~low
    if equal.any():
        either = np.append(equal, False) | np.append(False, equal)
        tied = ranking[either]
        ranking[either] = tied[np.argsort(words[tied], kind="stable")]
    return np.asarray(ranking)


def _words(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Integers [N] that sort like the float64 values: all bits but the sign are flipped for negative values."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)


def mean_ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """1-based ranks [N] of `values` [N], none of which is NaN; ties share their mean rank."""
    order = lowest_first(values)
    ordered = np.asarray(values)[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ends = np.concatenate([starts[1:], [len(ordered)]])
    places = np.repeat((starts + ends + 1) / 2, ends - starts)
    ranks = np.empty(len(ordered), dtype=np.float64)
    ranks[order] = places
    return ranks


def spearman(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Spearman's rho over the rows where both are finite; NaN when either is constant."""
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 2:
        return float("nan")
    ra, rb = mean_ranks(a[both]), mean_ranks(b[both])
    ra, rb = ra - ra.mean(), rb - rb.mean()
    size = float(np.sqrt((ra @ ra) * (rb @ rb)))
    return float(ra @ rb) / size if size else float("nan")
