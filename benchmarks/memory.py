"""Peak RSS of a scoring pass, tokenisation included, over 10 N rows relative to N rows (goal 1.2).

Each pass runs in its own process; the kernel reports the peak. The model is so small that rows, not weights, would
dominate. Below a thousand rows (one block of tokenisation) memory grows with the rows and the ratio means little. On
CUDA the peak of device memory is reported too.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.kept import TEMPLATE, Given, target
from benchmarks.lines import print_result, setting, timed
from benchmarks.models import arguments, texts
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.store import Store

GOAL = 1.2
TIMES = 10
KILOBYTE, MEGABYTE = 1 << 10, 1 << 20


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=1000, model="random:tiny")
    few, many = (_in_a_process(options, rows) for rows in (options.rows, TIMES * options.rows))
    print_result(
        "memory", f"{setting(options)} and {TIMES} times as many",
        seconds=many["seconds"], goal=GOAL, ratio=many["megabytes"] / few["megabytes"],
        megabytes=few["megabytes"], megabytes_for_10_times=many["megabytes"],
        device_megabytes=few["device_megabytes"], device_megabytes_for_10_times=many["device_megabytes"],
    )  # fmt: skip


def _in_a_process(options: argparse.Namespace, rows: int) -> dict[str, Any]:
    """The output of `whole` in its own process, and the peak RSS of that process in megabytes.

    The kernel reports the maximum over all finished child processes, so run the smaller one first.
    """
    call = f"whole({options.model!r}, {options.device!r}, {options.dtype!r}, {rows})"
    done = subprocess.run(
        [sys.executable, "-c", f"from benchmarks.memory import whole; {call}"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * KILOBYTE // MEGABYTE
    return {**json.loads(done.stdout.splitlines()[-1]), "megabytes": peak}


def whole(name: str, device: str, dtype: str, rows: int) -> None:
    """Score a pool; print the seconds and the device's peak memory as JSON."""
    pool = texts(rows)
    with TemporaryDirectory() as folder:
        model = Given(name, device, dtype)
        extractor = StoredExtractor(model, Store(folder), TEMPLATE, engine=Engine(progress=False))
        seconds = timed(lambda: Nait().score(pool, [target()], extractor))
    facts: dict[str, Any] = {"seconds": seconds, "device_megabytes": None}
    if device.startswith("cuda"):
        import torch

        facts["device_megabytes"] = torch.cuda.max_memory_allocated() // MEGABYTE
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
