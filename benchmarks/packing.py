"""Scoring with packed batches relative to padded ones, with flash attention (goal 1.0).

`--attention sdpa` measures the cost of packing without flash attention: a mask of all tokens by all tokens.
`padded_share` is the share of padding in the padded batches, which packing avoids, for a pool of Alpaca's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from benchmarks.lines import alternate, print_result, setting
from benchmarks.models import arguments, directions, load, rows
from nait.core.dataset.token_table import TokenTable
from nait.models.tokens.batches import Rows, plan, width_of
from nait.signals.forward.packing import When
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Reading, Signal, project_on

GOAL = 1.0
ROUNDS = 6
BATCH_TOKENS = {"cpu": 1024, "cuda": 8192}


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=64, attention="sdpa")
    network = load(options.model, device=options.device, dtype=options.dtype, attention=options.attention)
    batch_tokens = BATCH_TOKENS["cuda" if options.device.startswith("cuda") else "cpu"]
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=batch_tokens)
    signal = project_on(Reading(), directions(network.config))
    whens: tuple[When, ...] = ("never", "always")
    ways = [partial(read, network, table, signal, when, batch_tokens) for when in whens]
    padded, packed = alternate(ways, rounds=ROUNDS, device=options.device)
    print_result(
        "packing", f"{setting(options, len(table))} {options.attention}", seconds=packed, goal=GOAL, floor=padded,
        padded_share=padded_share(table.lengths, plan(table.lengths, batch_tokens)),
    )  # fmt: skip


def padded_share(lengths: npt.NDArray[np.int64], batches: Sequence[Rows]) -> float:
    """The share of padding in the tokens of these batches, in [0, 1)."""
    padded = sum(width_of(int(lengths[rows].max())) * len(rows) for rows in batches)
    return 1.0 - float(lengths.sum()) / padded if padded else 0.0


def read(network: object, table: TokenTable, signal: Signal, when: When, batch_tokens: int) -> None:
    """Run a pass for this signal and discard its values."""
    with Runner(network, [signal], packing=when) as runner:
        for chosen in plan(table.lengths, batch_tokens):
            runner.read(table, chosen)


if __name__ == "__main__":
    main()
