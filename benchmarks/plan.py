"""Predicted seconds of a selection (`plan=true`) over its actual seconds (goal: within 25 %, 0.75 to 1.25).

The job is NAIT on the embedded world or, with --pool and --reference, on these files with the model in the folder
--model (--rows limits the pool). Both commands run in their own processes, one after the other.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.commands import run_nait
from benchmarks.lines import Goal, print_result
from benchmarks.models import arguments

MOST, LEAST = 1.25, 0.75
REFERENCE_ROWS = 64


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=0, model="nano", pool="", reference="")
    with tempfile.TemporaryDirectory(prefix="nait-plan-") as folder:
        for more in ("plan=true", "plan=false"):
            run_nait(folder, [*_job(options), more])
        (manifest,) = Path(folder, "runs").rglob("run.json")
        job = json.loads(manifest.read_text(encoding="utf-8"))
    predicted, taken = (float(job["plan"][name]["select"]) for name in ("predicted", "seconds"))
    rows = next(iter(job["rows"].values()))["rows"]
    print_result(
        "plan", f"nait {job['model']} {job['pool']} {rows} rows", seconds=taken, goal=MOST, ratio=predicted / taken,
        goals=[Goal("ratio", predicted / taken, at_least=LEAST)], predicted_seconds=predicted,
    )  # fmt: skip


def _job(options: argparse.Namespace) -> list[str]:
    """The arguments of a selection with NAIT."""
    words = ["stages=[select]", "tracking=files"]
    if not options.pool:
        return words
    pool, reference, model = (
        str(Path(name).resolve()) for name in (options.pool, options.reference, options.model)
    )
    words += [
        "data=file", f"data.path={pool}", "target=file", f"target.path={reference}", f"target.rows={REFERENCE_ROWS}",
        "model=local", f"model.path={model}", f"model.device={options.device}", f"model.dtype={options.dtype}",
    ]  # fmt: skip
    return [*words, *([f"data.limit={options.rows}"] if options.rows else [])]


if __name__ == "__main__":
    main()
