"""Wall seconds of the README's first command with an empty store (goal 75), and of a second run (goal 10)."""

from __future__ import annotations

import tempfile

from benchmarks.commands import run_nait
from benchmarks.lines import Goal, print_result, timed
from benchmarks.models import arguments

GOAL = 75.0
AGAIN_GOAL = 10.0


def main() -> None:
    """Print one JSON line."""
    arguments(__doc__, rows=0)
    with tempfile.TemporaryDirectory(prefix="nait-quickstart-") as folder:
        first, again = (timed(lambda: run_nait(folder, ["experiment=quickstart"])) for _ in range(2))
    goals = [Goal("again_seconds", again, at_most=AGAIN_GOAL)]
    print_result("quickstart", "nait experiment=quickstart", seconds=first, goal=GOAL, goals=goals)


if __name__ == "__main__":
    main()
