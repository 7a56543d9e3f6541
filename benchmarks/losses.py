"""Losses relative to the floor: the decoder over the same batches, with the LM head only at the answers' positions.

`ratio` is perplexity over its floor (goal 1.08), `ifd_ratio` IFD's two texts over theirs (goal 1.10).
`rds_vs_published` (goal 1.6), `ifd_vs_published` (1.25) and `selectit_vs_published` (1.6) compare the published
implementations with ours: one row at a time with all logits (and all hidden states for RDS+). SelectIT is measured
with few rating prompts, since each one is a pass of the same kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.lines import Goal, Seconds, alternate, print_result, setting
from benchmarks.models import arguments, load, over, rows
from nait.core.dataset.token_table import TokenTable, token_table
from nait.models.tokens.batches import collate, plan
from nait.signals.forward.output_meters import predicted, runs
from nait.signals.specs.activations import Choice, Embedding, Losses, Signal

GOAL, IFD_GOAL = 1.08, 1.10
SPEEDUPS = {"rds_vs_published": 1.6, "ifd_vs_published": 1.25, "selectit_vs_published": 1.6}
ROUNDS, PUBLISHED_ROUNDS = 10, 2
PUBLISHED_ROWS = 16
BATCH_TOKENS = {"cpu": 512}
DIRECT_TOKENS, RATING_TOKENS, RATING_PROMPTS = 4, 30, 2
DIGITS = (5, 6, 7, 8, 9)


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16)
    network = load(options.model, device=options.device, dtype=options.dtype)
    bench = Bench(network, options.device)
    vocabulary = network.config.vocab_size
    conditioned = rows(options.rows, vocabulary=vocabulary, batch_tokens=bench.batch_tokens)
    direct = answers_of(conditioned)
    ways = [
        lambda: bench.floor([conditioned]), lambda: bench.ours([conditioned], Losses()),
        lambda: bench.floor([direct]), lambda: bench.ours([direct], Losses()),
    ]  # fmt: skip
    seconds = alternate(ways, rounds=ROUNDS, device=options.device)
    both, both_floor = (Seconds.of(seconds[i].rounds + seconds[i + 2].rounds) for i in (1, 0))
    found = speedups(bench, rows(PUBLISHED_ROWS, vocabulary=vocabulary, batch_tokens=bench.batch_tokens))
    goals = [Goal("ifd_ratio", both.over(both_floor), at_most=IFD_GOAL)]
    goals += [Goal(name, found[name], at_least=bound) for name, bound in SPEEDUPS.items()]
    print_result(
        "losses", setting(options, len(conditioned)), seconds=seconds[1], goal=GOAL, floor=seconds[0], goals=goals,
        tokens_per_second=round(float(conditioned.starts[-1]) / seconds[1]),
    )  # fmt: skip


def speedups(bench: Bench, c: TokenTable) -> dict[str, float]:
    """Seconds of the published implementation over ours on these rows, by method."""
    d = answers_of(c)
    prompts = [[10 + k] * RATING_TOKENS for k in range(RATING_PROMPTS)]
    rated = [with_prefix(c, [prompt], answers_only=False) for prompt in prompts]
    pairs = {
        "rds_vs_published": (
            lambda: bench.ours([c], Embedding()),
            lambda: bench.published([c], output_hidden_states=True),
        ),
        "ifd_vs_published": (
            lambda: bench.ours([c, d], Losses()),
            lambda: bench.published([c, d], loss=True),
        ),
        "selectit_vs_published": (lambda: bench.ours(rated, Choice(DIGITS)), lambda: bench.published(rated)),
    }
    found = {}
    for name, ways in pairs.items():
        ours, theirs = alternate(list(ways), rounds=PUBLISHED_ROUNDS, device=bench.device)
        found[name] = theirs.over(ours)
    return found


class Bench:
    """Three ways to process token tables: the floor, ours, the published implementation."""

    def __init__(self, network: Any, device: str) -> None:
        self.network, self.device = network, device
        self.batch_tokens = BATCH_TOKENS.get(device, 16384)

    def floor(self, tables: Sequence[TokenTable]) -> None:
        """The decoder, and the LM head at positions that predict an answer token."""
        import torch

        decoder, head = self.network.get_decoder(), self.network.get_output_embeddings()
        with torch.inference_mode():
            for table in tables:
                for chosen in plan(table.lengths, self.batch_tokens):
                    batch = collate(table, chosen, fill_id=1, device=self.device)
                    h_btd = decoder(input_ids=batch.input_ids, use_cache=False).last_hidden_state
                    at, columns = predicted(batch, "answer").nonzero(as_tuple=True)
                    for part in runs(len(at), h_btd):
                        head(h_btd[at[part], columns[part] - 1])

    def ours(self, tables: Sequence[TokenTable], *signals: Signal) -> None:
        """Our pass for these signals."""
        for table in tables:
            over(self.network, table, signals, batch_tokens=self.batch_tokens)

    def published(self, tables: Sequence[TokenTable], *, loss: bool = False, **options: Any) -> None:
        """One row at a time, with all logits."""
        import torch

        with torch.inference_mode():
            for table in tables:
                for i in range(len(table)):
                    row, answer = (torch.from_numpy(np.array(part)) for part in table.row(i))
                    ids = row.long()[None].to(self.device)
                    labels = {"labels": ids.masked_fill(~answer.to(ids.device), -100)} if loss else {}
                    self.network(input_ids=ids, **labels, **options)


def answers_of(table: TokenTable) -> TokenTable:
    """The rows' answers only, after DIRECT_TOKENS tokens."""
    return with_prefix(table, [list(range(DIRECT_TOKENS))], answers_only=True)


def with_prefix(table: TokenTable, prefixes: list[list[int]], *, answers_only: bool) -> TokenTable:
    """The rows, or only their answers, after each of the prefixes."""
    ids, answers = [], []
    for prefix in prefixes:
        for i in range(len(table)):
            row, answer = table.row(i)
            kept = row[answer] if answers_only else row
            ids.append([*prefix, *kept.tolist()])
            answers.append([False] * len(prefix) + (answer[answer] if answers_only else answer).tolist())
    return token_table(ids, answers, [False] * len(ids))


if __name__ == "__main__":
    main()
