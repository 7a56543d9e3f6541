"""Tokenisation's share of a pass: seconds per row of encoding relative to encoding and scoring (goal 0.1).

The encoded rows are synthetic text of Alpaca's lengths in a template like Alpaca's, with the embedded world's
tokenizer (a byte-level BPE); the scored rows are random ids of the same lengths. Encoding is much faster, so it is
measured on more rows to get a stable number.
"""

from __future__ import annotations

from functools import partial

from benchmarks.kept import TEMPLATE
from benchmarks.lines import alternate, print_result, setting, timed
from benchmarks.models import arguments, directions, load, over, rows, texts
from nait.core.dataset.examples import Example
from nait.models.tokens.encoding import encode
from nait.nano.pools import nano_model
from nait.signals.specs.activations import Reading, project_on

GOAL = 0.1
ROUNDS = 3
BATCH_TOKENS = 512
ENCODED_ROWS = 2000


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16, model="random:100m")
    pool, tokenizer = texts(ENCODED_ROWS), nano_model().load_tokenizer()
    encoding = partial(encode, pool.examples, TEMPLATE, tokenizer, max_length=512)
    encoded = alternate([encoding], rounds=ROUNDS)[0] / ENCODED_ROWS
    network = load(options.model, device=options.device, dtype=options.dtype)
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=BATCH_TOKENS)
    signals = [project_on(Reading(), directions(network.config))]
    scored = timed(
        partial(over, network, table, signals, batch_tokens=BATCH_TOKENS), device=options.device
    ) / len(table)
    print_result(
        "tokenising", setting(options, len(table)), seconds=encoded * len(table), goal=GOAL,
        ratio=encoded / (encoded + scored), rows_encoded_per_second=round(1 / encoded),
        characters_per_row=round(sum(map(_characters, pool.examples)) / len(pool)),
    )  # fmt: skip


def _characters(example: Example) -> int:
    return sum(len(turn.instruction) + len(turn.answer) for turn in example.turns)


if __name__ == "__main__":
    main()
