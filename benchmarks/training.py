"""Training over its floor: LoRA of rank 16 on all linear layers, updates of 16 random rows with Alpaca's lengths.

`ratio` is the trainer's loop over the floor (goal 1.10): one forward and backward through the adapted model over as
many real tokens, in batches without padding, with the LM head at answer tokens. `plain_ratio` is the plain Trainer of
transformers in random padded batches of 16 over ours (goal 4 for 25m, else 3.5). `packing_ratio` is that Trainer with
each update packed into sequences of 512 tokens over ours (goal 1). `memory_ratio` is our peak memory over the plain
Trainer's, each in its own process (goal 1). The first ratio is measured on all `--rows`, so that the constant costs
of a training are spread over several updates, as in a real one. The last three are measured on one update.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.lines import Goal, alternate, print_result, setting
from benchmarks.models import arguments, load
from benchmarks.updates import ours, packed, padded, padding, plain, updates, without_padding
from nait.core.dataset.token_table import TokenTable
from nait.models.anatomy import dissect
from nait.models.lm_head import head_of
from nait.training.adapters.lora import LoraRecipe, attach
from nait.training.updates import micro_batches
from nait.training.updates.device_tokens import automatic

GOAL, PACKING_GOAL, MEMORY_GOAL = 1.10, 1.0, 1.0
PLAIN_GOALS = {"random:25m": 4.0}
LARGE_PLAIN_GOAL = 3.5
SIZE = 16
ROUNDS, MOST_SECONDS = 9, 12.0
MEGABYTE = 1 << 20


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=64, peak="", device_tokens=0)
    if options.peak:
        _ways(options, SIZE)[1][options.peak]()
        print(peak_megabytes(options.device))
        return
    peaks = {name: _peak(options, name) for name in ("ours", "plain")}
    table, ways = _ways(options, options.rows)
    _, compared = _ways(options, SIZE)
    compared["ours"]()  # the first call in a process allocates memory
    floor, seconds = alternate(
        [ways["floor"], ways["ours"]],
        rounds=ROUNDS,
        device=options.device,
        warm=True,
        most_seconds=MOST_SECONDS,
    )
    alongside, padded_rows, packed_rows = alternate(
        [compared[name] for name in ("ours", "plain", "packing")], rounds=ROUNDS, device=options.device, warm=True,
        most_seconds=MOST_SECONDS,
    )  # fmt: skip
    least = PLAIN_GOALS.get(options.model, LARGE_PLAIN_GOAL)
    print_result(
        "training", f"{setting(options, len(table))} LoRA 16 all-linear",
        seconds=seconds, goal=GOAL, floor=floor,
        goals=[
            Goal("plain_ratio", padded_rows.over(alongside), at_least=least),
            Goal("packing_ratio", packed_rows.over(alongside), at_least=PACKING_GOAL),
            Goal("memory_ratio", peaks["ours"] / peaks["plain"], at_most=MEMORY_GOAL),
        ],
        tokens_per_second=int(table.lengths.sum() / seconds), megabytes=peaks["ours"],
        padding_of_plain=padding(table.lengths, SIZE),
    )  # fmt: skip


def _ways(options: argparse.Namespace, size: int) -> tuple[Any, dict[str, Any]]:
    """So many rows, and what is compared on them: each returns its seconds."""
    import torch

    torch.manual_seed(0)
    network = attach(load(options.model, device=options.device, dtype=options.dtype), LoraRecipe())
    vocabulary = network.config.vocab_size
    table = updates(max(1, size // SIZE), SIZE, vocabulary=vocabulary)
    tokens = options.device_tokens or automatic(network, checkpointing=False)
    given = {
        "num_train_epochs": 1.0, "per_device_train_batch_size": SIZE, "learning_rate": 2e-4,
        "optim": "adamw_torch_fused", "max_grad_norm": 1.0,
    }  # fmt: skip
    theirs = {**given, "lr_scheduler_type": "cosine"}
    return table, {
        "floor": _floor(network, table, tokens),
        "ours": lambda: ours(network, table, given, device_tokens=tokens),
        "plain": lambda: plain(network, theirs, len(table), partial(padded, table)),
        "packing": lambda: plain(network, theirs, len(table), partial(packed, table)),
    }


def _floor(network: Any, updates_table: TokenTable, batch_tokens: int) -> Callable[[], float]:
    """One forward and backward of about as many tokens: returns its seconds, scaled to exactly so many."""
    import torch

    anatomy, tokens = dissect(network), int(updates_table.lengths.sum())
    table, batches = without_padding(
        tokens, batch_tokens, answer_share=updates_table.answer_tokens.sum() / tokens,
        vocabulary=network.config.vocab_size,
    )  # fmt: skip
    head = head_of(network, anatomy)
    weight = 1.0 / float(table.answer_tokens.sum())
    made = [micro_batches.padded(table, rows, fill_id=1, device=network.device) for rows in batches]

    def floor() -> float:
        network.train()
        started = time.perf_counter()
        for batch in made:
            h_btd = anatomy.decoder(input_ids=batch.input_ids, use_cache=False).last_hidden_state
            logits = head(h_btd.flatten(0, 1)[batch.places])
            (torch.nn.functional.cross_entropy(logits, batch.labels, reduction="sum") * weight).backward()
        if network.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - started
        network.zero_grad()
        return seconds * tokens / float(table.lengths.sum())

    return floor


def _peak(options: argparse.Namespace, way: str) -> float:
    """Peak memory in megabytes of one training in its own process."""
    words = [
        "--model",
        options.model,
        "--device",
        options.device,
        "--dtype",
        options.dtype,
        "--rows",
        str(options.rows),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training", *words, "--peak", way], check=True, stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    return float(json.loads(done.stdout.splitlines()[-1]))


def peak_megabytes(device: str) -> int:
    """This process's peak memory so far: allocated on a GPU, else resident."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.max_memory_allocated() // MEGABYTE)
    status = Path("/proc/self/status")
    if status.is_file():  # the kernel's other number includes the parent process
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // MEGABYTE  # bytes on macOS


if __name__ == "__main__":
    main()
