"""Directions: one axis per layer that represents a capability (NAIT, steps 3 and 4).

Shapes: n reference rows, L layers, C components, D width. All linear algebra is in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import linalg

from nait.core.errors import DataError

Kind = Literal["pca", "uncentered", "contrast"]
Sign = Literal["shift", "pool", "none"]
KINDS: tuple[Kind, ...] = ("pca", "uncentered", "contrast")
SIGNS: tuple[Sign, ...] = ("shift", "pool", "none")
VERSION = 1

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Directions:
    """Unit vectors [L, C, D], the references' mean [L, D], and quality measures of the decomposition.

    `explained_variance` [L, C] is each component's share of the variance about the mean (about the origin
    for `uncentered`; for `contrast`, the variance along the vector). `sign_margin` [L] is |mu . v| / |mu| of the
    first component: near 0, the sign chosen in step 4 is nearly arbitrary.
    """

    vectors: Floats
    mean: Floats
    explained_variance: Floats
    sign_margin: Floats

    def arrays(self) -> Mapping[str, Floats]:
        """The fields as named arrays, as the store keeps them."""
        return {
            "vectors": self.vectors.astype(np.float32),
            "mean": self.mean.astype(np.float32),
            "explained_variance": self.explained_variance,
            "sign_margin": self.sign_margin,
        }

    @staticmethod
    def of(arrays: Mapping[str, Floats]) -> Directions:
        """Directions from their named arrays."""
        return Directions(
            arrays["vectors"], arrays["mean"], arrays["explained_variance"], arrays["sign_margin"]
        )


def find_directions(
    features_nld: Floats,
    *,
    target: str,
    kind: Kind = "pca",
    sign: Sign = "shift",
    components: int = 1,
    pool_mean_ld: Floats | None = None,
    first_layer: int = 1,
) -> Directions:
    """The directions of one capability from its reference features [n, L, D].

    - `kind`: pca (first principal components of the centred features; NAIT, step 3), uncentered (first right singular
      vectors of the features), contrast (mean of the references minus mean of the pool).
    - `sign`: shift (mu . v >= 0; step 4), pool ((mu - pool mean) . v >= 0), none (the largest entry is positive). A
      contrast has a sign of its own.

    At layer 0, the embeddings, rows that end with the same token have equal features; the direction is then 0.

    Raises: DataError that names the target if the rows do not span a direction.
    """
    n, layers, width = features_nld.shape
    if n < 1 or (kind != "contrast" and (n < 2 or min(n - 1, width) < components)):
        least = "one reference row" if kind == "contrast" else "two different reference rows"
        raise DataError(
            f"{n} row(s) cannot give {components} direction(s)",
            where=f"target '{target}'",
            fix=f"Give at least {least}; 32 or more are typical.",
        )
    _check_finite(features_nld, pool_mean_ld, target=target)
    found = [
        _one_layer(
            np.asarray(features_nld[:, layer], dtype=np.float64),
            kind=kind,
            sign=sign,
            components=components,
            pool_mean=None if pool_mean_ld is None else np.asarray(pool_mean_ld[layer], dtype=np.float64),
            where=f"target '{target}', layer {first_layer + layer}",
            may_be_flat=first_layer + layer == 0,
        )
        for layer in range(layers)
    ]
    vectors, means, shares, margins = (np.stack(parts) for parts in zip(*found, strict=True))
    return Directions(vectors, means, shares, margins)


def _check_finite(features_nld: Floats, pool_mean_ld: Floats | None, *, target: str) -> None:
    """Raises: DataError for reference rows, or a mean of the pool, whose activations are not numbers."""
    broken = int((~np.isfinite(features_nld).all(axis=(1, 2))).sum())
    what = (
        f"{broken} of its {len(features_nld)} rows have activations that are not finite numbers"
        if broken
        else ""
    )
    if not what and pool_mean_ld is not None and not np.isfinite(pool_mean_ld).all():
        what = "the pool's mean activation is not a finite number: a row of the pool overflows"
    if what:
        raise DataError(
            what, where=f"target '{target}'", fix="Set model.dtype=float32, or leave such rows out."
        )


def _one_layer(
    x_nd: Floats,
    *,
    kind: Kind,
    sign: Sign,
    components: int,
    pool_mean: Floats | None,
    where: str,
    may_be_flat: bool,
) -> tuple[Floats, Floats, Floats, Floats]:
    mu = x_nd.mean(axis=0)
    centred = x_nd - mu
    spread = float(np.sum(centred**2))
    # Equal rows differ only by rounding: float32 features have a relative error of about 1e-7.
    flat = spread <= 1e-10 * float(np.sum(x_nd**2))
    if kind != "contrast" and flat:
        if may_be_flat:
            return _flat(x_nd, components, mu)
        raise DataError(
            "all rows have the same features, so they have no principal component",
            where=where,
            fix="Give reference rows that differ.",
        )
    if kind == "contrast":
        assert pool_mean is not None
        v_cd = _unit(mu - pool_mean)[None, :]
        shares = np.array([float(np.sum((centred @ v_cd[0]) ** 2)) / spread if not flat else 0.0])
    else:
        v_cd, shares = _principal(centred if kind == "pca" else x_nd, components)
        v_cd = _spanned(v_cd, shares, where=where, may_be_flat=may_be_flat)
    reference = mu if sign != "pool" or pool_mean is None else mu - pool_mean
    if sign != "none" and kind != "contrast":
        v_cd = v_cd * np.where(v_cd @ reference < 0, -1.0, 1.0)[:, None]
    size = float(np.linalg.norm(mu))
    margin = abs(float(mu @ v_cd[0])) / size if size else 0.0
    return v_cd, mu, shares, np.asarray(margin)


def _flat(x_nd: Floats, components: int, mu: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    return np.zeros((components, x_nd.shape[1])), mu, np.zeros(components), np.asarray(0.0)


def _spanned(v_cd: Floats, shares: Floats, *, where: str, may_be_flat: bool) -> Floats:
    """The components. One whose share is only rounding error is 0 if `may_be_flat`, and an error otherwise."""
    empty = shares <= 1e-10
    if empty.any() and not may_be_flat:
        raise DataError(
            f"the rows span {int((~empty).sum())} direction(s), not {len(shares)}",
            where=where,
            fix="Lower selector.components, or give more different reference rows.",
        )
    return np.where(empty[:, None], 0.0, v_cd)


def _unit(v: Floats) -> Floats:
    size = float(np.linalg.norm(v))
    return v / size if size else v


def _principal(x_nd: Floats, components: int) -> tuple[Floats, Floats]:
    """The leading right singular vectors [C, D] and their shares [C], from the smaller Gram matrix.

    The sign is canonical (largest entry positive), so that it depends only on the rows.
    """
    n, width = x_nd.shape
    small = n <= width
    gram = x_nd @ x_nd.T if small else x_nd.T @ x_nd
    size = len(gram)
    values, vectors = linalg.eigh(gram, subset_by_index=[size - components, size - 1])
    values, vectors = values[::-1], vectors[:, ::-1]
    rows = (x_nd.T @ vectors).T if small else vectors.T
    v_cd = np.stack([_unit(row) for row in rows])
    largest = np.abs(v_cd).argmax(axis=1)
    v_cd = v_cd * np.where(v_cd[np.arange(len(v_cd)), largest] < 0, -1.0, 1.0)[:, None]
    return v_cd, np.maximum(values, 0.0) / float(np.trace(gram))


def margins_about(direction: Directions, pool_mean_ld: Floats) -> Floats:
    """|(mu - m) . v| / |mu - m| [L] of the first component, m the pool's mean [L, D]: the margin of `sign=pool`."""
    v_ld, mu_ld = (np.asarray(one, dtype=np.float64) for one in (direction.vectors[:, 0], direction.mean))
    shift_ld = mu_ld - pool_mean_ld
    size = np.linalg.norm(shift_ld, axis=1)
    return np.asarray(np.abs(np.sum(shift_ld * v_ld, axis=1)) / np.where(size > 0, size, 1.0))


def cosines(a: Directions, b: Directions) -> Floats:
    """Cosines [L] between two targets' first components, per layer."""
    va, vb = (np.asarray(one.vectors[:, 0], dtype=np.float64) for one in (a, b))
    size = np.linalg.norm(va, axis=1) * np.linalg.norm(vb, axis=1)
    return np.asarray(np.sum(va * vb, axis=1) / np.where(size > 0, size, 1.0))
