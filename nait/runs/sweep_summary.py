"""Summary of a sweep: one leaderboard of its jobs, printed, written and tracked."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.core.contracts import Evaluator, HoldsOut, Reporter, Tracker
from nait.core.statistics.power import describe
from nait.stages.checks.minimum_effect import effects_of_suite
from nait.stages.report import report
from nait.store import Store, read_json
from nait.store.provenance import provenance

REPORT = "report"
MEANS = "means.csv"
LINE = ("task", "metric", "selector", "target", "budget")


def detectable_effects(evaluator: Evaluator | HoldsOut, *, store: str, seeds: int, methods: int) -> str:
    """One line on the minimum detectable effect with these seeds; empty where the number of items is unknown.

    A suite of held-out rows has no items before a job has read its references. `methods`: how many methods are
    compared with the control.
    """
    if isinstance(evaluator, HoldsOut):
        return ""
    found = effects_of_suite(evaluator, Store(store), seeds=seeds, methods=methods)
    return describe(found) if found else ""


def summarise_sweep(
    folder: Path,
    records: Sequence[Path],
    *,
    store: str,
    reporter: Reporter,
    tracker: Tracker,
    config: Mapping[str, Any],
    failed: Sequence[str] = (),
) -> str:
    """Leaderboard of a sweep's jobs, tracked as its own run. Its files and its text list the jobs without a result.

    `folder`: the sweep's. `records`: the `run.json` of each job. `failed`: lines on failed jobs, which the caller
    prints.
    """
    found = [read_json(path) for path in records]
    runs = [str(record["links"]["run"]) for record in found if record["links"].get("run")]
    ended = [
        f"{record['selector']} (seed {record['seed']})" for record in found if record["status"] != "done"
    ]
    recorded = [f"Failed: {', '.join(ended)}."] if ended else []
    text = "No job reached a result."
    if runs:
        text = report(reporter, Store(store), runs, folder / REPORT, failed=[*failed, *recorded])
        _track(folder, found, tracker, config)
    return text + (f"\n{recorded[0]} See the logs in their folders under {folder}." if recorded else "")


def _track(folder: Path, jobs: list[dict[str, Any]], tracker: Tracker, config: Mapping[str, Any]) -> None:
    """Track the report in the jobs' group: tables, figures, the page, and all files as one artifact."""
    group = config["group"] or jobs[0]["pool"]
    runs = sorted(str(job["links"]["run"]) for job in jobs if job["links"].get("run"))
    tracker.start(
        f"leaderboard-{folder.name}", {**config, **provenance()}, group=str(group), tags=["leaderboard"],
        kind="leaderboard", key=address({"leaderboard": runs}),
    )  # fmt: skip
    try:
        files = sorted(path for path in (folder / REPORT).iterdir() if path.is_file())
        for file in files:
            if file.suffix == ".csv":
                tracker.table(file.stem, *_table(file))
            elif file.suffix == ".svg":
                tracker.page(f"pictures/{file.stem}", file)
            elif file.suffix == ".html":
                tracker.page(file.stem, file)
        means = folder / REPORT / MEANS
        compared = names_of(_lines(means) or jobs)
        tracker.summary({"jobs": len(jobs), "compared": compared, **differences_of(means)})
        tracker.artifact(f"report-{folder.name}", "report", files, {"jobs": len(jobs)})
    finally:
        tracker.finish()


def _lines(path: Path) -> list[dict[str, str]]:
    """The lines of a leaderboard's means; none without the file, as of another reporter."""
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def names_of(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """`selector=NAME`, `target=NAME` and `budget=NAME` of the lines, each once, as in their table."""
    names = ("selector", "target", "budget")
    return sorted({f"{name}={line[name]}" for line in lines for name in names if line[name]})


def differences_of(path: Path) -> dict[str, float]:
    """`minus_CONTROL/TASK/METRIC/METHOD/TARGET/BUDGET` -> the difference, from the leaderboard's means.

    If the sweep has several tables, for example one for each model, the table's number follows the control:
    `table-2`. A difference of one seed, which is not tested, is `minus_CONTROL_untested/...`.
    """
    rows = _lines(path)
    several = len({row["table"] for row in rows}) > 1

    def key(row: Mapping[str, str]) -> str:
        table = [f"table-{row['table']}"] if several else []
        tested = "" if row["p"] else "_untested"
        return "/".join(
            [f"minus_{row['control']}{tested}", *table, *(row[name] for name in LINE if row[name])]
        )

    return {key(row): float(row["difference"]) for row in rows if row["difference"]}


def _table(path: Path) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of a CSV file. Numbers are parsed, so that a tracker can sort and plot them."""
    import pandas

    frame = pandas.read_csv(path, keep_default_na=False, na_values=[""], low_memory=False)
    return list(frame.columns), frame.to_numpy(object).tolist()
