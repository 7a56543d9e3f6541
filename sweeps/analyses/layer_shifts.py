"""The contribution of each layer to the scores of the selected rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nait.sweeps.analyses.overlap import names
from nait.sweeps.render.svg import Grid
from nait.sweeps.stored_runs.method_names import CONTROL
from nait.sweeps.stored_runs.picks import Picks
from nait.sweeps.stored_runs.selections import Chosen

MOST_COLUMNS = 16
"""Maximum number of layers in one heat map; deeper models have several maps."""


def layer_shifts(picks: Sequence[Picks]) -> list[Grid]:
    """Heat maps of methods by layers; empty without layered methods.

    A cell is the layer's mean contribution over the selected rows minus its mean over the pool, in standard
    deviations of the pool's scores, averaged over seeds. NaN where a method does not use the layer.
    The control has no line: its rows do not depend on scores, and its runs may have the layers of several methods.
    """
    lines: dict[str, dict[int, float]] = {}
    for name, one in zip(names(picks), picks, strict=True):
        if one.method == CONTROL:
            continue
        for part in one.first.layers:
            shifts = np.mean([_shifts(chosen, part.target) for chosen in one.by_seed.values()], axis=0)
            title = f"{name}: {part.target}" if len(one.first.layers) > 1 else name
            lines[f"{title} ({shifts.sum():+z.2f})"] = dict(zip(part.layers, shifts.tolist(), strict=True))
    layers = np.array(sorted({layer for line in lines.values() for layer in line}))
    groups = np.array_split(layers, -(-len(layers) // MOST_COLUMNS)) if len(layers) else []
    return [_grid(lines, group.tolist()) for group in groups]


def _grid(lines: dict[str, dict[int, float]], layers: list[int]) -> Grid:
    values = np.array([[line.get(layer, np.nan) for layer in layers] for line in lines.values()])
    none = np.zeros(values.shape, dtype=bool)
    return Grid(
        "Parts in the score, by layer",
        list(lines),
        list(map(str, layers)),
        values,
        none,
        none,
        axes=("selection (total)", "layer"),
        unit="standard deviations",
    )


def _shifts(chosen: Chosen, target: str) -> npt.NDArray[np.float64]:
    """[L] the shifts of one target, in standard deviations of the pool's scores."""
    (found,) = [one for one in chosen.layers if one.target == target]
    spread = float(np.nanstd(chosen.scores[target])) or 1.0
    return np.asarray((found.parts.mean(axis=0) - found.means) / spread, dtype=np.float64)
