"""Runs every small benchmark and writes RESULTS.md: machine, versions, date, a table of ratios."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from tabulate import tabulate

from nait.provenance import provenance

MODULES = ("scoring", "losses", "gradients")
COLUMNS = ("name", "setting", "seconds", "ratio", "goal", "met")


def main() -> None:
    """Prints each benchmark's line, and writes the table."""
    lines = []
    for name in MODULES:
        done = subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}"], check=True, stdout=subprocess.PIPE, text=True
        )
        print(done.stdout, end="")
        lines.append(json.loads(done.stdout.splitlines()[-1]))
    table = tabulate(
        [[line[column] for column in COLUMNS] for line in lines], headers=COLUMNS, tablefmt="github"
    )
    more = "\n".join(f"- {line['name']}: {json.dumps(line)}" for line in lines)
    versions = ", ".join(
        f"{k} {v}" for k, v in provenance()["versions"].items() if k in ("torch", "transformers")
    )
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, {versions}"
    )
    file = Path(__file__).with_name("RESULTS.md")
    file.write_text(f"# Results\n\n{head}\n\n{table}\n\n{more}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
