"""A pass shared by two processes relative to a single process, with all cores in use in both cases (goal 1.1).

Processes start as under torchrun and share the cores evenly. Timing starts when all have opened the model and run it
once; the slowest process counts. `same_bytes`: whether the two processes store the same bytes as one process with the
same number of threads per process (another number of threads may change the order of a sum). `chunks`: the number of
chunks measured by each process.
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
from benchmarks.lines import Goal, print_result, setting, timed
from benchmarks.models import arguments, directions, over, texts
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.options import Engine
from nait.signals.specs.activations import Reading, project_on
from nait.store import Store

GOAL = 1.1
ENGINE = Engine(batch_tokens=1024, chunk_tokens=1024, progress=False)


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=60)
    cores = len(os.sched_getaffinity(0))
    share = max(1, cores // 2)
    one, two = (_together(options, count, threads=threads) for count, threads in ((1, cores), (2, share)))
    same_threads = one if share == cores else _together(options, 1, threads=share)
    print_result(
        "workers", setting(options), seconds=two["seconds"], goal=GOAL,
        ratio=two["seconds"] / one["seconds"],
        goals=[Goal("same_bytes", int(two["values"] == same_threads["values"]), at_least=1)], chunks=two["chunks"],
    )  # fmt: skip


def _together(options: argparse.Namespace, count: int, *, threads: int) -> dict[str, Any]:
    """Seconds, stored values and chunks per process of a pass by `count` processes with `threads` threads each."""
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
        outputs = [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]
        values = [path.read_bytes() for path in Path(folder, "passes").rglob("*.npy")]
    chunks = [one["chunks"] for one in outputs]
    return {"seconds": max(one["seconds"] for one in outputs), "chunks": chunks, "values": values}


def work(name: str, device: str, dtype: str, rows: int, folder: str) -> None:
    """Run one process's part; print its seconds and the number of chunks it measured as JSON."""
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
    )  # warm-up
    Path(folder, f"ready-{os.environ['RANK']}").touch()
    while len(list(Path(folder).glob("ready-*"))) < int(os.environ["WORLD_SIZE"]):
        time.sleep(0.01)
    seconds = timed(lambda: extractor.measure(pool, signals))
    print(json.dumps({"seconds": seconds, "chunks": len(made)}))


if __name__ == "__main__":
    main()
