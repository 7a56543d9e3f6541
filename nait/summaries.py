"""Summaries: what a sweep's jobs say together, printed, written and tracked as one run."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.contracts import Reporter, Tracker
from nait.provenance import provenance
from nait.stages.report import report
from nait.store import Store, read_json

REPORT = "report"


def summarise_sweep(
    folder: Path, *, store: str, reporter: Reporter, tracker: Tracker, config: Mapping[str, Any]
) -> str:
    """One leaderboard of the jobs under a sweep's folder; failed jobs are named. Tracked as a run of its own."""
    found = [read_json(path) for path in sorted(folder.glob("*/run.json"))]
    runs = [str(record["links"]["run"]) for record in found if record["links"].get("run")]
    failed = [
        f"{record['selector']} (seed {record['seed']})" for record in found if record["status"] != "done"
    ]
    text = "No job reached a result."
    if runs:
        text = report(reporter, Store(store), runs, folder / REPORT)
        _track(folder, found, tracker, config)
    return text + (f"\nFailed: {', '.join(failed)}. Their folders under {folder} say why." if failed else "")


def _track(folder: Path, jobs: list[dict[str, Any]], tracker: Tracker, config: Mapping[str, Any]) -> None:
    """The leaderboard as a table and the report with its figures as one artifact, in the group of the jobs."""
    labels = sorted({f"{name}={job[name]}" for job in jobs for name in ("selector", "target", "budget")})
    group = config["group"] or jobs[0]["pool"]
    tracker.start(f"leaderboard-{folder.name}", {**config, **provenance()}, group=group, tags=["leaderboard"])
    try:
        with (folder / REPORT / "leaderboard.csv").open(encoding="utf-8", newline="") as stream:
            columns, *rows = csv.reader(stream)
        tracker.table("leaderboard", columns, rows)
        tracker.summary({"jobs": len(jobs), "compared": labels})
        files = sorted(path for path in (folder / REPORT).iterdir() if path.is_file())
        page = folder / REPORT / "report.html"
        if page.is_file():
            tracker.page("report", page)
        tracker.artifact(f"report-{folder.name}", "report", files, {"jobs": len(jobs)})
    finally:
        tracker.finish()
