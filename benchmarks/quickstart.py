"""Wall seconds of the README's first command with an empty store (goal 240), and of a second run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.lines import print_result, timed
from benchmarks.models import arguments

GOAL = 240.0


def main() -> None:
    """Print one JSON line."""
    arguments(__doc__, rows=0)
    with tempfile.TemporaryDirectory(prefix="nait-quickstart-") as folder:
        first, again = (timed(lambda: _run(folder)) for _ in range(2))
    print_result("quickstart", "nait experiment=quickstart", seconds=first, goal=GOAL, again_seconds=again)


def _run(folder: str) -> None:
    environment = {**os.environ, "NAIT_STORE": f"{folder}/store", "NAIT_RUNS": f"{folder}/runs"}
    command = [sys.executable, "-m", "nait", "experiment=quickstart"]
    subprocess.run(
        command, check=True, env=environment, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


if __name__ == "__main__":
    main()
