"""Seconds of a sweep over every layer, every prefix of layers and ten ratios, from stored signals (goal 2).

The store holds the projections of --rows rows on a target's directions at every layer of a model of --model's shape.
The model must not be opened.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.kept import pool, scored, target
from benchmarks.lines import print_result, timed
from benchmarks.models import arguments, shape
from nait.core.ranking.budgets import Ratio
from nait.core.ranking.orders import Highest
from nait.neurons.scorer import Nait

GOAL = 2.0
RATIOS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=52_002, model="random:100m")
    rows, references = pool(options.rows), target()
    depth, _ = shape(options.model)
    choices = [[layer] for layer in range(1, depth + 1)] + [
        list(range(1, layer + 1)) for layer in range(1, depth + 1)
    ]
    sizes: list[int] = []
    with TemporaryDirectory() as folder:
        extractor, _ = scored(Path(folder), rows, references, options.model)
        answer_tokens = np.full(len(rows), 40)

        def sweep() -> None:
            for layers in choices:
                ranking = Highest()(Nait(layers=layers).score(rows, [references], extractor))
                sizes.extend(Ratio(ratio)(ranking, answer_tokens) for ratio in RATIOS)

        seconds = timed(sweep)
    print_result(
        "layers", f"{options.rows} rows {depth} layers", seconds=seconds, goal=GOAL,
        choices_of_layers=len(choices), selections=len(sizes),
    )  # fmt: skip


if __name__ == "__main__":
    main()
