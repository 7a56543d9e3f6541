"""NAIT, RDS+ and perplexity in one pass relative to the decoder with the LM head at answer positions (goal 1.15)."""

from __future__ import annotations

from functools import partial

from benchmarks.lines import alternate, print_result, setting
from benchmarks.losses import Bench
from benchmarks.models import arguments, directions, load, rows
from nait.signals.specs.activations import Embedding, Losses, Reading, project_on

GOAL = 1.15
ROUNDS = 8


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16)
    network = load(options.model, device=options.device, dtype=options.dtype)
    bench = Bench(network, options.device)
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=bench.batch_tokens)
    nait, rds, perplexity = project_on(Reading(), directions(network.config)), Embedding(), Losses()
    ways = [
        partial(bench.floor, [table]),
        partial(bench.ours, [table], nait, rds, perplexity),
        *(partial(bench.ours, [table], signal) for signal in (nait, rds, perplexity)),
    ]
    floor, together, *apart = alternate(ways, rounds=ROUNDS, device=options.device)
    print_result(
        "shared", setting(options, len(table)), seconds=together, goal=GOAL, floor=floor,
        apart_ratio=sum(apart) / together,
    )  # fmt: skip


if __name__ == "__main__":
    main()
