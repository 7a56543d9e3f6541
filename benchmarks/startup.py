"""Wall seconds of the slower of `nait --help` and `nait --cfg job`, each the median of three runs (goal 1).

`scoring_seconds` is the time from starting a job on the embedded world to the first batch of its pool (goal 12).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial

from benchmarks.commands import environment
from benchmarks.lines import Goal, alternate, print_result
from benchmarks.models import arguments

GOAL = 1.0
SCORING_GOAL = 12.0
ROUNDS = 3
COMMANDS = {"help_seconds": ("--help",), "cfg_seconds": ("--cfg", "job")}
BAR = b"reading nano:"
"""The beginning of the progress bar of the pass over the pool."""


def main() -> None:
    """Print one JSON line."""
    arguments(__doc__, rows=0)
    ways = [partial(_run, words) for words in COMMANDS.values()]
    taken = dict(zip(COMMANDS, alternate(ways, rounds=ROUNDS), strict=True))
    slower = max(taken[name] for name in COMMANDS)
    print_result(
        "startup", "nait --help, nait --cfg job, a job on nano", seconds=slower, goal=GOAL,
        goals=[Goal("scoring_seconds", until_scoring(), at_most=SCORING_GOAL)], **taken,
    )  # fmt: skip


def _run(words: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "nait", *words], check=True, stdout=subprocess.DEVNULL)


def until_scoring() -> float:
    """Seconds from the command to its progress bar; the job is then killed. Raises: RuntimeError if none appears."""
    with tempfile.TemporaryDirectory(prefix="nait-startup-") as folder:
        command = [sys.executable, "-m", "nait", "stages=[select]", "tracking=files"]
        started = time.perf_counter()
        output = b""
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment(folder), cwd=folder) as job:
            assert job.stderr is not None
            while part := os.read(job.stderr.fileno(), 4096):  # a progress bar's line has no newline
                output += part
                if BAR in output:
                    seconds = time.perf_counter() - started
                    job.kill()
                    return seconds
    raise RuntimeError(f"the job ended without a pass: {output[-500:].decode(errors='replace')}")


if __name__ == "__main__":
    main()
