"""Scores from projections (NAIT, step 5), and each layer's share in them.

Shapes: N rows, C components, L layers. Pure numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from nait.core.errors import ConfigError, did_you_mean

Similarity = Literal["dot", "cosine"]
LayerWeight = Literal["none", "zscore", "explained_variance"]
ComponentSum = Literal["signed", "squared"]
SIMILARITIES: tuple[Similarity, ...] = ("dot", "cosine")
LAYER_WEIGHTS: tuple[LayerWeight, ...] = ("none", "zscore", "explained_variance")
COMPONENT_SUMS: tuple[ComponentSum, ...] = ("signed", "squared")
SLICES = ("all", "first_half", "middle", "last_half", "last")

Floats = npt.NDArray[np.floating[Any]]


def choose_layers(layers: str | int | Sequence[int], depth: int, first: int) -> list[int]:
    """Layer numbers, 1..`depth` (and 0 if `first` is 0), from a name, a number or a list.

    `all`: 1..L; `first_half`, `last_half`; `middle`: the central half; `last`: L alone. Negative numbers count
    from the end. Raises: ConfigError for a layer that does not exist or is given twice.
    """
    if isinstance(layers, str):
        quarter = depth // 4
        named = {
            "all": range(1, depth + 1),
            "first_half": range(1, depth // 2 + 1),
            "middle": range(quarter + 1, depth - quarter + 1),
            "last_half": range(depth // 2 + 1, depth + 1),
            "last": range(depth, depth + 1),
        }
        if layers not in named:
            raise ConfigError(
                f"'{layers}' is not a set of layers",
                where="selector.layers",
                fix=f"{did_you_mean(layers, SLICES)} Or give numbers: [1,2,3].",
            )
        return list(named[layers])
    given: Any = layers  # a config may hold any type
    numbers: list[int] = list(given) if isinstance(given, Sequence) else [given]
    if any(type(number) is not int for number in numbers):
        raise ConfigError(
            f"layers {numbers} are not whole numbers", where="selector.layers", fix="Give [1,2,3] or a name."
        )
    chosen = [depth + 1 + number if number < 0 else number for number in numbers]
    wrong = [number for number in chosen if not first <= number <= depth]
    if wrong or not chosen or len(set(chosen)) != len(chosen):
        raise ConfigError(
            f"layers {numbers} cannot be used",
            where="selector.layers",
            fix=f"Give different numbers from {first} to {depth}.",
        )
    return chosen


def total_scores(
    p_ncl: Floats,
    *,
    norms_nl: Floats | None = None,
    similarity: Similarity = "dot",
    layer_weight: LayerWeight = "none",
    explained_variance_l: Floats | None = None,
    component_sum: ComponentSum = "signed",
    shift_cl: Floats | None = None,
    able_n: npt.NDArray[np.bool_] | None = None,
) -> tuple[Floats, Floats]:
    """Scores [N] and each layer's part in them [N, L]: s(y) = sum over l of A_l(y) . v_l (NAIT, equation of step 5).

    `cosine` divides by the features' norms. `shift_cl` is the projection of the pool's mean, which is subtracted
    (`center`). `zscore` standardises each layer over the rows whose projections are numbers and that can be selected,
    `able_n` [N] (None: all); `explained_variance` weights it.
    """
    p = np.asarray(p_ncl, dtype=np.float64)
    if shift_cl is not None:
        p = p - shift_cl[None]
    if similarity == "cosine":
        assert norms_nl is not None
        p = p / np.maximum(np.asarray(norms_nl, dtype=np.float64), 1e-30)[:, None, :]
    parts = np.asarray((p if component_sum == "signed" else p**2).sum(axis=1))
    if layer_weight == "zscore":
        counted_n = np.isfinite(parts).all(axis=1)  # one row of NaN would make every row NaN
        known = parts[counted_n if able_n is None else counted_n & able_n]
        mean, spread = (
            (known.mean(axis=0), known.std(axis=0)) if len(known) else (np.zeros(parts.shape[1]),) * 2
        )
        parts = (parts - mean) / np.where(spread > 0, spread, 1.0)
    elif layer_weight == "explained_variance":
        assert explained_variance_l is not None
        parts = parts * explained_variance_l[None, :]
    return parts.sum(axis=1), parts


def layer_shares(parts_nl: Floats) -> list[float]:
    """Each layer's share of the score's variance [L]: cov(part, score) / var(score). The shares sum to 1.

    Rows whose parts are not all numbers are left out.
    """
    known_nl = parts_nl[np.isfinite(parts_nl).all(axis=1)]
    if not len(known_nl):
        return [0.0] * parts_nl.shape[1]
    centred = known_nl - known_nl.mean(axis=0)
    total = centred.sum(axis=1)
    variance = float(total @ total)
    if variance == 0.0:
        return [0.0] * parts_nl.shape[1]
    return [float(value) for value in centred.T @ total / variance]
