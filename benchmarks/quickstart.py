"""Wall seconds of the README's first command with an empty store (goal 75), and of a second run (goal 10)."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.lines import Goal, print_result, timed
from benchmarks.models import arguments

GOAL = 75.0
AGAIN_GOAL = 10.0


def main() -> None:
    """Print one JSON line."""
    arguments(__doc__, rows=0)
    with tempfile.TemporaryDirectory(prefix="nait-quickstart-") as folder:
        first, again = (timed(lambda: _run(folder)) for _ in range(2))
    goals = [Goal("again_seconds", again, at_most=AGAIN_GOAL)]
    print_result("quickstart", "nait experiment=quickstart", seconds=first, goal=GOAL, goals=goals)


def _run(folder: str) -> None:
    environment = {**os.environ, "NAIT_STORE": f"{folder}/store", "NAIT_RUNS": f"{folder}/runs"}
    command = [sys.executable, "-m", "nait", "experiment=quickstart"]
    subprocess.run(
        command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
