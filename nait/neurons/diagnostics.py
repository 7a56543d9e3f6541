"""Diagnostics of directions and layers, and the warnings derived from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nait.neurons.directions import Directions, Floats, cosines, margins_about

LOW_MARGIN = 0.1
"""Sign margins below this are reported: the sign is nearly arbitrary."""
LARGE_SHARE = 0.5
"""A layer with a larger share of the score's variance is reported: it dominates the selection."""
MANY_LAYERS = 0.25
"""A direction is weak if at least this share of its summed layers has a low sign margin."""
SHOWN_TARGETS = 8


def diagnose(
    found: Sequence[tuple[str, Directions]],
    shares: Mapping[str, Mapping[str, float]],
    *,
    first_layer: int,
    pool_mean_ld: Floats | None = None,
) -> dict[str, Any]:
    """By target: explained variance and sign margin per layer, layer shares, cosines to the other targets.

    `shares`: target -> number of a summed layer -> its share of the score's variance. `pool_mean_ld`: the pool's mean
    [L, D] if the signs are chosen about it; the report then has `pool_sign_margin` too.
    """
    report: dict[str, Any] = {}
    for name, direction in found:
        numbers = [str(first_layer + i) for i in range(len(direction.sign_margin))]
        report[name] = {
            "explained_variance": dict(
                zip(numbers, direction.explained_variance[:, 0].round(4).tolist(), strict=True)
            ),
            "sign_margin": dict(zip(numbers, direction.sign_margin.round(4).tolist(), strict=True)),
            "layer_share_of_score_variance": {k: round(v, 4) for k, v in shares[name].items()},
            "cosine_to": {
                other: cosines(direction, theirs).round(4).tolist()
                for other, theirs in found
                if other != name
            },
        }
        if pool_mean_ld is not None:
            margins = margins_about(direction, pool_mean_ld).round(4).tolist()
            report[name]["pool_sign_margin"] = dict(zip(numbers, margins, strict=True))
    return report


def warnings(diagnostics: Mapping[str, Any], *, signed: bool, contrast: bool = False) -> list[str]:
    """Warnings about the directions. Only if a sign rule was applied (`signed`), its margins count.

    If many sign margins are low or one layer dominates, the last message recommends a comparison with
    `nait_contrast`, unless the directions are a `contrast` themselves.
    """
    messages = []
    weak_targets = []
    for name, facts in diagnostics.items():
        used = facts["layer_share_of_score_variance"]
        margins = facts.get("pool_sign_margin", facts["sign_margin"])
        weak = [layer for layer in used if margins[layer] < LOW_MARGIN]
        if weak and signed:
            messages.append(
                f"{name}: the sign of the direction is nearly a coin toss (margin < {LOW_MARGIN}) in "
                f"{len(weak)} of {len(used)} layers: {', '.join(weak)}."
            )
        top, share = max(used.items(), key=lambda pair: pair[1])
        if share > LARGE_SHARE and len(used) > 2:
            messages.append(f"{name}: layer {top} alone carries {share:.0%} of the score's variance.")
            weak_targets.append(name)
        elif signed and len(weak) >= MANY_LAYERS * len(used):
            weak_targets.append(name)
    return messages if contrast or not weak_targets else [*messages, _advice(weak_targets)]


def _advice(names: Sequence[str]) -> str:
    """The recommendation to compare with `nait_contrast`, for targets with weak directions."""
    shown = ", ".join(names[:SHOWN_TARGETS])
    more = f" and {len(names) - SHOWN_TARGETS} more" if len(names) > SHOWN_TARGETS else ""
    return (
        f"{shown}{more}: this reading of NAIT may select the wrong rows here. Compare it with "
        "selector=nait_contrast, which needs no sign rule and puts all layers on one scale "
        "(nait/neurons/README.md has what both select in two worlds)."
    )
