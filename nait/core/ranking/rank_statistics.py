"""Rankings of numbers: places in the order of their values; rank correlation, ties sharing their mean rank."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def lowest_first(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """The places of `values` [N] that are not NaN, lowest value first; equal values in the order of their places.

    One sort of integers, quicker than an argsort of floats: the upper bits of each are those of a value, the lower
    bits its place. Values that are alike in the upper bits are put in order afterwards, so nothing is rounded.
    """
    words = _words(values)
    places = np.flatnonzero(~np.isnan(values))
    low = (1 << len(words).bit_length()) - 1
    keys = (words[places] & ~low) | places
    keys.sort()
    ranking = keys & low
    alike = keys[1:] & ~low == keys[:-1] & ~low
    if alike.any():
        either = np.append(alike, False) | np.append(False, alike)
        tied = ranking[either]
        ranking[either] = tied[np.argsort(words[tied], kind="stable")]
    return np.asarray(ranking)


def _words(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """[N] integers in the order of the float64s: a negative float's bits but the sign's count the other way."""
    bits = (np.asarray(values, dtype=np.float64) + 0.0).view(np.int64)  # -0.0 + 0.0 is 0.0
    return bits ^ ((bits >> 63) & np.iinfo(np.int64).max)


def mean_ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """[N] 1-based ranks of `values` [N], none of which is NaN; ties get the mean of their places."""
    order = lowest_first(values)
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
