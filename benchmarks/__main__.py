"""Runs every small benchmark and writes RESULTS.md: machine, versions, date, one table, what falls short first."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tabulate import tabulate

from nait.provenance import provenance

MODULES = (
    "scoring", "targets", "early_exit", "prefixes", "shared", "losses", "gradients", "tokenising", "memory", "layers",
    "store", "selection", "startup", "workers",
)  # fmt: skip
REASONS = {
    "scoring": (
        "The smaller a model, the more a hook weighs; the goals are those of random:100m. The published way over "
        "the floor is its ratio times ours: where that, too, is below the goal, padding and the LM head cost this "
        "processor less than the goal supposes."
    ),
    "prefixes": (
        "A quarter of the tokens is not read again; what the seconds follow of it depends on the widths that small "
        "batches pad to, and on the machine's drift (0.81 to 0.95 in six runs)."
    ),
    "losses": "The passes are of seconds, and the goal is within what this machine drifts between two runs.",
    "memory": (
        "What a pass keeps does not grow: over one table again and again the memory stays where it is; the rows' own "
        "texts take 0.9 kB each. The heap fragments as batches of other shapes come: with "
        "MALLOC_MMAP_THRESHOLD_=100000 and MALLOC_TRIM_THRESHOLD_=100000 a pass over 20,000 rows peaks at 564 MB in "
        "place of 672. Over 5,000 and 50,000 rows it is worse than here: 583 and 861 MB, 1.48."
    ),
}
"""Why a goal is missed where it is, as profiles show it."""
COLUMNS = ("name", "setting", "seconds", "ratio", "goal", "met")
PACKAGES = ("torch", "transformers", "tokenizers", "numpy")
RESULTS = Path(__file__).with_name("RESULTS.md")

NO_GPU = (
    "Not measured yet. `python -m benchmarks.scoring --device cuda --dtype bfloat16 --model random:7b --rows 1000`,"
    " and `benchmarks.gradients` with the same options, say tokens a second and the ratio to the floor (goal 1.03)."
)

Line = Mapping[str, Any]


def main() -> None:
    """Prints each benchmark's line as it comes, and writes the table."""
    lines = []
    for name in MODULES:
        lines.append(run(name))
        print(json.dumps(lines[-1]), flush=True)
    RESULTS.write_text(document(lines, machine()), encoding="utf-8")


def run(name: str) -> Line:
    """One benchmark's line; where it fails, a line that says so."""
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        blank = dict.fromkeys(COLUMNS)
        return {**blank, "name": name, "setting": "it failed", "met": False, "error": last(done.stderr)}
    line: dict[str, Any] = json.loads(last(done.stdout))
    return {**line, "benchmark_seconds": round(time.monotonic() - started)}


def last(text: str) -> str:
    """The last line that holds anything."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "")


def document(lines: Sequence[Line], head: str) -> str:
    """The page: what falls short, the table, every number of every line."""
    short = [line for line in lines if not line["met"]]
    fallen = "\n".join(f"- `{line['name']}`: {_found(line)}{_reason(line)}" for line in short)
    table = tabulate(
        [[_cell(line, c) for c in COLUMNS] for line in lines], headers=COLUMNS, tablefmt="github"
    )
    more = "\n".join(f"- {line['name']}: `{json.dumps(_more(line))}`" for line in lines)
    return (
        f"# Results\n\n{head}\n\n"
        f"## Goals that fall short\n\n{fallen or 'None.'}\n\n"
        f"## All\n\nA ratio is bounded by its goal from above; where there is none, the seconds are.\n\n{table}\n\n"
        f"## On a GPU\n\n{NO_GPU}\n\n"
        f"## Further numbers\n\n{more}\n"
    )


def machine() -> str:
    """The day, the machine, the versions."""
    found = provenance()
    versions = ", ".join(f"{name} {found['versions'][name]}" for name in PACKAGES)
    git = found["git"] or {"commit": "no clone", "dirty": False}
    commit = git["commit"][:12] + (" with changes" if git["dirty"] else "")
    busy = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {_processor()}, {os.cpu_count()} cores (load {busy} at the end), "
        f"Python {platform.python_version()}, {versions}, commit {commit}."
    )


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line] if info.is_file() else []
    return names[0].split(":", 1)[1].strip() if names else platform.machine()


def _found(line: Line) -> str:
    if "error" in line:
        return f"it failed: {line['error']}"
    measured = f"{line['seconds']} s" if line["ratio"] is None else f"ratio {line['ratio']}"
    return f"{measured}, goal {_cell(line, 'goal')}; {json.dumps(_more(line))}"


def _reason(line: Line) -> str:
    reason = REASONS.get(line["name"]) if "error" not in line else None
    return f"\n  Why: {reason}" if reason else ""


def _cell(line: Line, column: str) -> Any:
    if column == "goal" and line.get("unit") == "s":
        return f"{line['goal']} s"
    if column == "met":
        return "yes" if line["met"] else "no"
    return line[column]


def _more(line: Line) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in (*COLUMNS, "unit")}


if __name__ == "__main__":
    main()
