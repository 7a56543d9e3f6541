"""Early exit: scoring with the lower half of the layers only, relative to all layers (goal 0.6)."""

from __future__ import annotations

from functools import partial

from benchmarks.lines import alternate, print_result, setting
from benchmarks.models import arguments, directions, load, over, rows
from nait.signals.specs.activations import Reading, project_on

GOAL = 0.6
ROUNDS = 16
BATCH_TOKENS = 512


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16)
    network = load(options.model, device=options.device, dtype=options.dtype)
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=BATCH_TOKENS)
    v_cld, half = directions(network.config), network.config.num_hidden_layers // 2
    ways = [
        partial(over, network, table, [project_on(Reading(depth=depth), v_cld)], batch_tokens=BATCH_TOKENS)
        for depth in (None, half)
    ]
    whole, cut = alternate(ways, rounds=ROUNDS, device=options.device)
    print_result("early_exit", setting(options, len(table)), seconds=cut, goal=GOAL, floor=whole, depth=half)


if __name__ == "__main__":
    main()
