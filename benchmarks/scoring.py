"""NAIT scoring against its floor: the same batches through the bare decoder, no hooks, no LM head.

`ratio` is scoring over floor (goal: 1.05 at the residual site); `published_ratio` is the published way over ours:
file order, batches of 8 padded to 512, all hidden states, full logits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.models import arguments, load, rows
from nait.models.batches import collate, plan
from nait.signals.passes import Runner
from nait.signals.readings import Reading, project_on

GOAL = 1.05
ROUNDS = 3
BATCH_TOKENS = 8192


def main() -> None:
    """Prints one JSON line."""
    import torch

    options = arguments(__doc__, rows=400)
    network = load(options.model, device=options.device, dtype=options.dtype)
    table = rows(options.rows, vocabulary=network.config.vocab_size)
    batches = plan(table.lengths, BATCH_TOKENS)
    layers = network.config.num_hidden_layers + 1
    v_cld = np.random.default_rng(0).normal(size=(1, layers, network.config.hidden_size)).astype(np.float32)
    runner = Runner(network, [project_on(Reading(), v_cld)])
    decoder = network.get_decoder()

    def floor() -> None:
        with torch.inference_mode():
            for chosen in batches:
                decoder(
                    input_ids=collate(table, chosen, fill_id=1, device=options.device).input_ids,
                    use_cache=False,
                )

    def ours() -> None:
        with runner:
            for chosen in batches:
                runner.read(table, chosen)

    def published() -> None:
        with torch.inference_mode():
            for at in range(0, len(table), 8):
                ids = torch.zeros(min(8, len(table) - at), 512, dtype=torch.long)
                mask = torch.zeros_like(ids)
                for i in range(len(ids)):
                    row = torch.from_numpy(np.array(table.row(at + i)[0]))
                    ids[i, : len(row)], mask[i, : len(row)] = row, 1
                network(
                    ids.to(options.device), attention_mask=mask.to(options.device), output_hidden_states=True
                )

    seconds = alternate([floor, ours], rounds=ROUNDS, device=options.device)
    slow = alternate([published], rounds=1, device=options.device)[0]
    ratio = seconds[1] / seconds[0]
    line = {
        "name": "scoring",
        "setting": f"{options.model} {options.dtype} {options.device} {options.rows} rows",
        "seconds": round(seconds[1], 3),
        "ratio": round(ratio, 3),
        "goal": GOAL,
        "met": ratio <= GOAL,
        "published_ratio": round(slow / seconds[1], 2),
        "tokens_per_second": round(float(table.starts[-1]) / seconds[1]),
    }
    print(json.dumps(line))


def alternate(ways: list[Callable[[], Any]], *, rounds: int, device: str) -> list[float]:
    """The median seconds of each way, run in turn so that a drifting machine weighs on all alike."""
    import torch

    taken: list[list[float]] = [[] for _ in ways]
    for round_ in range(rounds + 1):
        for times, way in zip(taken, ways, strict=True):
            started = time.perf_counter()
            way()
            if device.startswith("cuda"):
                torch.cuda.synchronize()
            if round_ or rounds == 1:  # the first is a warm-up
                times.append(time.perf_counter() - started)
    return [float(np.median(times)) for times in taken]


if __name__ == "__main__":
    main()
