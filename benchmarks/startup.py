"""Wall seconds of `nait --help` and `nait --cfg job`, the median of three runs each; the slower counts (goal 1)."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from benchmarks.lines import alternate, say
from benchmarks.models import arguments

GOAL = 1.0
ROUNDS = 3
COMMANDS = {"help_seconds": ("--help",), "cfg_seconds": ("--cfg", "job")}


def main() -> None:
    """Prints one JSON line."""
    arguments(__doc__, rows=0)
    ways = [partial(_run, words) for words in COMMANDS.values()]
    taken = dict(zip(COMMANDS, alternate(ways, rounds=ROUNDS), strict=True))
    say("startup", "nait --help, nait --cfg job", seconds=max(taken.values()), goal=GOAL, **taken)


def _run(words: tuple[str, ...]) -> None:
    subprocess.run([sys.executable, "-m", "nait", *words], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
