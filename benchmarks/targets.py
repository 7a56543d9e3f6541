"""NAIT scoring for many targets in one pass: seconds for 64 targets relative to one target (goal 1.05)."""

from __future__ import annotations

from functools import partial

from benchmarks.lines import alternate, print_result, setting
from benchmarks.models import arguments, directions, load, over, rows
from nait.signals.specs.activations import Reading, project_on

GOAL = 1.05
ROUNDS = 12
BATCH_TOKENS = 512
TARGETS = (1, 8, 64)


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16)
    network = load(options.model, device=options.device, dtype=options.dtype)
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=BATCH_TOKENS)
    v_cld = directions(network.config, targets=max(TARGETS))
    signals = [project_on(Reading(), v_cld[i : i + 1]) for i in range(max(TARGETS))]
    ways = [partial(over, network, table, signals[:count], batch_tokens=BATCH_TOKENS) for count in TARGETS]
    one, some, many = alternate(ways, rounds=ROUNDS, device=options.device)
    print_result(
        "targets", setting(options, len(table)), seconds=many, goal=GOAL, floor=one, ratio_of_8=some.over(one)
    )


if __name__ == "__main__":
    main()
