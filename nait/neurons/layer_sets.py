"""The layer sets that are worth comparing in a model of any depth, for `sweep=layers`."""

from __future__ import annotations

from collections.abc import Sequence

from nait.neurons.layer_scores import choose_layers

MOST = 8
"""Sets of one kind in a deep model; single layers are all there."""


def layer_sets(depth: int) -> list[str | list[int]]:
    """Values of `selector.layers` for a model of `depth` blocks, each naming other layers 1..L.

    `all` and `middle`; each layer alone; the first, the last and all but one, of each kind at most `MOST`, evenly
    spread with the ends included. All but the first and all but the last stand among the last and the first ones.
    """
    inner = _spread(range(2, depth))
    named: list[str | list[int]] = ["all", "middle"]
    single = [[layer] for layer in range(1, depth + 1)]
    first = [list(range(1, last + 1)) for last in inner]
    last = [list(range(depth + 1 - count, depth + 1)) for count in inner]
    all_but = [[layer for layer in range(1, depth + 1) if layer != out] for out in inner]
    distinct: dict[tuple[int, ...], str | list[int]] = {}
    for one in [*named, *single, *first, *last, *all_but]:
        distinct.setdefault(tuple(choose_layers(one, depth, 1)), one)
    return list(distinct.values())


def _spread(numbers: Sequence[int]) -> list[int]:
    """At most `MOST` of them, evenly, the ends included."""
    if len(numbers) <= MOST:
        return list(numbers)
    return [numbers[round(k * (len(numbers) - 1) / (MOST - 1))] for k in range(MOST)]
