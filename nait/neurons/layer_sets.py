"""The layer sets that `sweep=layers` compares, for a model of any depth."""

from __future__ import annotations

from collections.abc import Sequence

from nait.neurons.layer_scores import choose_layers

MOST = 8
"""Maximum number of sets of each kind, except single layers."""


def layer_sets(depth: int) -> list[str | list[int]]:
    """Values of `selector.layers` for a model of `depth` blocks, each a different set of layers 1..L.

    The sets: `all` and `middle`; each single layer; and at most `MOST` evenly spaced sets of each of three kinds: the
    first k layers, the last k layers, all layers but one. "All but the last" is the first L - 1 layers, "all but the
    first" the last L - 1.
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
    """At most `MOST` of the numbers, evenly spaced, both ends included."""
    if len(numbers) <= MOST:
        return list(numbers)
    return [numbers[round(k * (len(numbers) - 1) / (MOST - 1))] for k in range(MOST)]
