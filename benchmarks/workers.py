"""A pass by two processes that share it over one by a single process, all cores in use both times (goal 1.1).

Processes are as torchrun starts them, and share the cores evenly. Their clocks start when all have opened the model
and run it once, and the slowest counts. `same_bytes`: whether the two left what one process with as many threads as
each of them leaves (with more threads a matrix product may sum in another order); `chunks`: who measured how many.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.kept import TEMPLATE, Given
from benchmarks.lines import Goal, say, setting, timed
from benchmarks.models import arguments, directions, over, texts
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import Reading, project_on
from nait.store import Store

GOAL = 1.1
ENGINE = Engine(batch_tokens=1024, chunk_tokens=1024, progress=False)


def main() -> None:
    """Prints one JSON line."""
    options = arguments(__doc__, rows=60)
    cores = len(os.sched_getaffinity(0))
    share = max(1, cores // 2)
    one, two = (_together(options, count, threads=threads) for count, threads in ((1, cores), (2, share)))
    alike = one if share == cores else _together(options, 1, threads=share)
    say(
        "workers", setting(options), seconds=two["seconds"], goal=GOAL,
        ratio=two["seconds"] / one["seconds"],
        goals=[Goal("same_bytes", int(two["values"] == alike["values"]), at_least=1)], chunks=two["chunks"],
    )  # fmt: skip


def _together(options: argparse.Namespace, count: int, *, threads: int) -> dict[str, Any]:
    """What `count` processes of so many threads take and leave, together."""
    with TemporaryDirectory() as folder:
        call = f"work({options.model!r}, {options.device!r}, {options.dtype!r}, {options.rows}, {folder!r})"
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", f"from benchmarks.workers import work; {call}"],
                env={**os.environ, "RANK": str(rank), "WORLD_SIZE": str(count), "OMP_NUM_THREADS": str(threads)},
                stdout=subprocess.PIPE, text=True,
            )
            for rank in range(count)
        ]  # fmt: skip
        said = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
        values = [path.read_bytes() for path in Path(folder, "passes").rglob("*.npy")]
    chunks = [one["chunks"] for one in said]
    return {"seconds": max(one["seconds"] for one in said), "chunks": chunks, "values": values}


def work(name: str, device: str, dtype: str, rows: int, folder: str) -> None:
    """One process's part; prints its seconds and how many chunks it measured as JSON."""
    extractor = StoredExtractor(Given(name, device, dtype), Store(folder), TEMPLATE, engine=ENGINE)
    pool, made = texts(rows), []
    write = Chunks.write

    def noted(chunks: Chunks, number: int, *others: Any) -> None:
        made.append(number)
        write(chunks, number, *others)

    Chunks.write = noted  # type: ignore[method-assign]
    signals = [project_on(Reading(), directions(extractor.encodings.network().config))]
    over(
        extractor.encodings.network(), extractor.tokens(pool), signals, batch_tokens=ENGINE.batch_tokens
    )  # to be warm
    Path(folder, f"ready-{os.environ['RANK']}").touch()
    while len(list(Path(folder).glob("ready-*"))) < int(os.environ["WORLD_SIZE"]):
        time.sleep(0.01)
    seconds = timed(lambda: extractor.measure(pool, signals))
    print(json.dumps({"seconds": seconds, "chunks": len(made)}))


if __name__ == "__main__":
    main()
