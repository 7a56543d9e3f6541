"""Training and evaluation by two processes over one, each with one thread (goal 1.7 for both).

A job on the embedded world trains on 1,000 rows for four epochs and answers the items of five tasks, in one process
and under torchrun in two, from an empty store. Measured are the seconds of training and of evaluation. They include
importing the trainer and the harness, but not the start of the job.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.commands import environment
from benchmarks.lines import Goal, Seconds, print_result
from benchmarks.models import arguments

SPEEDUP = 1.7
ROUNDS = 2
KINDS = ("adapters", "evaluations")
JOB = (
    "selector=random", "budget.ratio=0.2", "train.epochs=4", "tracking=files", "contamination=none",
)  # fmt: skip


def main() -> None:
    """Print one JSON line."""
    arguments(__doc__, rows=0)
    rounds = [{count: _seconds(count) for count in (1, 2)} for _ in range(ROUNDS)]
    taken = {
        (kind, count): Seconds.of([one[count][kind] for one in rounds]) for kind in KINDS for count in (1, 2)
    }
    train, evaluate = (taken[kind, 1].over(taken[kind, 2]) for kind in KINDS)
    print_result(
        "processes", "a job on the embedded world", seconds=taken["adapters", 2], goal=1 / SPEEDUP,
        floor=taken["adapters", 1],
        goals=[
            Goal("training_speedup", train, at_least=SPEEDUP), Goal("evaluation_speedup", evaluate, at_least=SPEEDUP),
        ],
    )  # fmt: skip


def _seconds(count: int) -> dict[str, float]:
    """Seconds of the training and the evaluation in so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    with tempfile.TemporaryDirectory(prefix="nait-processes-") as folder:
        subprocess.run(
            [sys.executable, *(launcher if count > 1 else []), "-m", "nait", *JOB], check=True, cwd=folder,
            env={**environment(folder, OMP_NUM_THREADS="1"), "TQDM_DISABLE": os.environ.get("TQDM_DISABLE", "1")},
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return {
            kind: float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
            for kind in KINDS
            for path in Path(folder, "store", kind).glob("*/manifest.json")
        }


if __name__ == "__main__":
    main()
