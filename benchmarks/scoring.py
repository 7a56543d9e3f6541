"""NAIT scoring relative to the floor: the same batches through the decoder without hooks or LM head.

`ratio` is scoring over floor at the residual site (goal 1.05); `mlp_ratio` (1.08) and `all_sites_ratio` (1.15) are
the same for the neurons and for all sites in one pass. `published_ratio` is the published implementation over ours:
file order, batches of 8 padded to 512, all hidden states, full logits (goal 4 for 25m, 3 for 100m). The shares split
its extra time into the LM head, the kept hidden states and the padding. `share_of_peak` is the throughput relative to
large matrix products on this machine, counting only real tokens. `seconds_for_52002_rows` extrapolates to a pool of
Alpaca's size. On CUDA the goal is 1.03 and, for random:7b, half of the peak and 420 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.lines import Goal, alternate, print_result, setting
from benchmarks.models import MEAN_LENGTH, POOL_ROWS, arguments, directions, load, over, rows
from benchmarks.peaks import operations, peak
from nait.core.dataset.token_table import TokenTable
from nait.models.anatomy import SITES, Site
from nait.models.tokens.batches import collate, plan
from nait.signals.specs.activations import Reading, project_on

GOAL, MLP_GOAL, ALL_SITES_GOAL = 1.05, 1.08, 1.15
PUBLISHED_GOALS = {"random:25m": 4.0, "random:100m": 3.0}
ROUNDS, MOST_SECONDS = 40, 24.0
PUBLISHED_ROUNDS, MOST_PUBLISHED_SECONDS = 3, 10.0
BATCH_TOKENS = {"cpu": 512, "cuda": 8192}
GPU_GOAL, PEAK_GOAL, POOL_GOAL = 1.03, 0.5, 420.0
PUBLISHED_ROWS, PUBLISHED_WIDTH = 8, 512


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=16)
    network = load(options.model, device=options.device, dtype=options.dtype)
    on_gpu = options.device.startswith("cuda")
    batch_tokens = BATCH_TOKENS["cuda" if on_gpu else "cpu"]
    table = rows(options.rows, vocabulary=network.config.vocab_size, batch_tokens=batch_tokens)
    signals = {site: project_on(Reading(site), directions(network.config, site)) for site in SITES}
    chosen: tuple[Sequence[Site], ...] = (("residual",), ("mlp",), SITES)
    ways: list[Callable[[], Any]] = [partial(floor, network, table, options.device, batch_tokens)]
    ways += [
        partial(over, network, table, [signals[site] for site in sites], batch_tokens=batch_tokens)
        for sites in chosen
    ]
    bare, *ours = alternate(ways, rounds=ROUNDS, device=options.device, most_seconds=MOST_SECONDS)
    *steps, alongside = alternate(
        [*published(network, table, options.device), *ways[:2]],
        rounds=PUBLISHED_ROUNDS, device=options.device, warm=True, most_seconds=MOST_PUBLISHED_SECONDS,
    )  # fmt: skip
    share = operations(network, table) / ours[0] / peak(options.device, options.dtype)
    whole_pool = ours[0] * POOL_ROWS * MEAN_LENGTH / float(table.starts[-1])
    large = on_gpu and options.model == "random:7b"
    goals = [
        Goal("mlp_ratio", ours[1].over(bare), at_most=MLP_GOAL),
        Goal("all_sites_ratio", ours[2].over(bare), at_most=ALL_SITES_GOAL),
        Goal("published_ratio", steps[0].over(alongside), at_least=PUBLISHED_GOALS.get(options.model)),
        Goal("share_of_peak", share, at_least=PEAK_GOAL if large else None),
        Goal("seconds_for_52002_rows", round(whole_pool), at_most=POOL_GOAL if large else None),
    ]
    print_result(
        "scoring", setting(options, len(table)), seconds=ours[0], goal=GPU_GOAL if on_gpu else GOAL, floor=bare,
        goals=goals, **shares(steps), tokens_per_second=round(float(table.starts[-1]) / ours[0]),
    )  # fmt: skip


def floor(network: Any, table: TokenTable, device: str, batch_tokens: int) -> None:
    """One forward of the decoder over the batches of the scoring pass."""
    import torch

    decoder = network.get_decoder()
    with torch.inference_mode():
        for chosen in plan(table.lengths, batch_tokens):
            decoder(input_ids=collate(table, chosen, fill_id=1, device=device).input_ids, use_cache=False)


def published(network: Any, table: TokenTable, device: str) -> list[Callable[[], None]]:
    """The published implementation; the same without the LM head; and also without keeping hidden states."""
    decoder = network.get_decoder()
    return [
        partial(padded, partial(network, output_hidden_states=True), table, device),
        partial(padded, partial(decoder, output_hidden_states=True, use_cache=False), table, device),
        partial(padded, partial(decoder, use_cache=False), table, device),
    ]


def padded(forward: Callable[..., Any], table: TokenTable, device: str) -> None:
    """A forward over batches of 8 in file order, padded to 512."""
    import torch

    with torch.inference_mode():
        for at in range(0, len(table), PUBLISHED_ROWS):
            ids = torch.zeros(min(PUBLISHED_ROWS, len(table) - at), PUBLISHED_WIDTH, dtype=torch.long)
            mask = torch.zeros_like(ids)
            for i in range(len(ids)):
                row = torch.from_numpy(np.array(table.row(at + i)[0]))
                ids[i, : len(row)], mask[i, : len(row)] = row, 1
            forward(ids.to(device), attention_mask=mask.to(device))


def shares(seconds: list[float]) -> dict[str, float]:
    """Each step's share of the published implementation's extra time over the floor."""
    whole, headless, bare, floor_seconds = seconds
    extra = whole - floor_seconds
    return {
        "share_of_head": (whole - headless) / extra,
        "share_of_copies": (headless - bare) / extra,
        "share_of_padding": (bare - floor_seconds) / extra,
    }


if __name__ == "__main__":
    main()
