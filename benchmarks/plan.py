"""Predicted seconds of a job's stages (`plan=true`) over their actual seconds (goal: within 25 %, 0.75 to 1.25).

The job selects with NAIT, trains and evaluates on the embedded world or, with --pool and --reference, on these files
with the model in the folder --model (--rows limits the pool; --mirror has GSM8K, of which 100 items are evaluated).
Both commands run in their own processes, one after the other.
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
REFERENCE_ROWS, ITEMS = 64, 100
STAGES = ("select", "train", "evaluate")


def main() -> None:
    """Print one JSON line."""
    options = arguments(__doc__, rows=0, model="nano", pool="", reference="", mirror="")
    with tempfile.TemporaryDirectory(prefix="nait-plan-") as folder:
        for more in ("plan=true", "plan=false"):
            run_nait(folder, [*_job(options), more])
        (manifest,) = Path(folder, "runs").rglob("run.json")
        job = json.loads(manifest.read_text(encoding="utf-8"))
    predicted, taken = job["plan"]["predicted"], job["plan"]["seconds"]
    ratios = {name: predicted[name] / taken[name] for name in STAGES if predicted.get(name)}
    rows = next(iter(job["rows"].values()))["rows"]
    print_result(
        "plan", f"nait {job['model']} {job['pool']} {rows} rows", seconds=taken["select"], goal=MOST,
        ratio=ratios["select"], predicted_seconds=predicted["select"],
        goals=[
            Goal("ratio", ratios.pop("select"), at_least=LEAST),
            *(Goal(f"{name}_ratio", ratio, at_most=MOST) for name, ratio in ratios.items()),
            *(Goal(f"{name}_ratio", ratio, at_least=LEAST) for name, ratio in ratios.items()),
        ],
    )  # fmt: skip


def _job(options: argparse.Namespace) -> list[str]:
    """The arguments of a job with NAIT."""
    words = ["tracking=files"]
    if not options.pool:
        return words
    evaluated = ["eval=gsm8k", f"eval.limit={ITEMS}", f"eval.mirror={Path(options.mirror).resolve()}"]
    words += evaluated if options.mirror else ["stages=[select,train]"]
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
