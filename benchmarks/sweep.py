"""A sweep's speedup by a second worker: jobs on the embedded world, each worker with one thread (goal 1.7).

Four jobs by default. The start of a worker costs as much as half a job, so that `--jobs 16` is nearer to a sweep.
`--sweep NAME` measures another number: the wall seconds of `nait sweep=NAME` with two workers and an empty store, and
of a second run.
"""

from __future__ import annotations

import tempfile
from functools import partial

from benchmarks.commands import run_nait
from benchmarks.lines import Goal, alternate, print_result, timed
from benchmarks.models import arguments

SPEEDUP = 1.7
GOALS = {"methods": 480.0, "transfer": 480.0}
ROUNDS = 1
JOBS = ("selector=random", "eval.tasks=[nano_math]", "train.epochs=2", "tracking=files")


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=0, sweep="", jobs=4)
    if options.sweep:
        whole(options.sweep)
        return
    ways = [partial(_jobs, options.jobs, workers) for workers in (1, 2)]
    one, two = alternate(ways, rounds=ROUNDS, warm=True)  # each process starts cold anyway
    print_result(
        "sweep", f"{options.jobs} jobs on the embedded world", seconds=two, goal=1 / SPEEDUP, floor=one,
        goals=[Goal("speedup", one.over(two), at_least=SPEEDUP)],
    )  # fmt: skip


def whole(name: str) -> None:
    """Print the seconds of a whole sweep, and of its second run."""
    with tempfile.TemporaryDirectory(prefix="nait-sweep-") as folder:
        words = [f"sweep={name}", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
        first, again = (timed(partial(run_nait, folder, words)) for _ in range(2))
    print_result("sweep", f"nait sweep={name}", seconds=first, goal=GOALS[name], again_seconds=again)


def _jobs(count: int, workers: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nait-sweep-") as folder:
        seeds = ",".join(map(str, range(count)))
        words = ["-m", *JOBS, f"seed={seeds}", "hydra/launcher=joblib", f"hydra.launcher.n_jobs={workers}"]
        run_nait(folder, words, OMP_NUM_THREADS="1")


if __name__ == "__main__":
    main()
