"""Prefix caching: scoring with a cached shared preamble relative to scoring without the cache (goal 0.9).

Each row begins with one of two preambles, as in Alpaca: 32 tokens without an input, 44 with one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from benchmarks.lines import alternate, print_result, setting
from benchmarks.models import arguments, directions, load, rows
from nait.core.dataset.token_table import TokenTable
from nait.signals.forward.prefix_cache import NONE, Prefixes, find_prefixes, plan_by_prefix
from nait.signals.passes.runners import Runner
from nait.signals.specs.activations import Reading, project_on

GOAL = 0.9
ROUNDS = 5
BATCH_TOKENS = 1024
PREAMBLES = (32, 44)
WITH_INPUT = 0.4


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=128)
    network = load(options.model, device=options.device, dtype=options.dtype)
    table = with_preambles(
        rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=BATCH_TOKENS)
    )
    prefixes = find_prefixes(table)
    signal = project_on(Reading(), directions(network.config))
    ways = [partial(read, network, table, signal, given) for given in (NONE, prefixes)]
    uncached, cached = alternate(ways, rounds=ROUNDS, device=options.device)
    shared = sum(len(ids) * int((prefixes.number == k).sum()) for k, ids in enumerate(prefixes.ids))
    print_result(
        "prefixes", setting(options, len(table)), seconds=cached, goal=GOAL, floor=uncached,
        shared_tokens=shared / int(table.lengths.sum()), prefixes=len(prefixes.ids),
    )  # fmt: skip


def with_preambles(table: TokenTable) -> TokenTable:
    """Rows of the same lengths that begin with one of the preambles, whose first 10 tokens are the same."""
    ids = np.array(table.input_ids)
    for row, start in enumerate(table.starts[:-1]):
        length = PREAMBLES[int(row % 10 < 10 * WITH_INPUT)]
        ids[start : start + length] = np.where(np.arange(length) < 10, 7, length)
    return TokenTable(ids, table.answer, table.starts, table.truncated)


def read(network: Any, table: TokenTable, signal: Any, prefixes: Prefixes) -> None:
    """Run a pass for this signal and discard its values."""
    with Runner(network, [signal], prefixes=prefixes) as runner:
        for chosen in plan_by_prefix(table.lengths, BATCH_TOKENS, prefixes):
            runner.read(table, chosen)


if __name__ == "__main__":
    main()
