"""Rows of a leaderboard that others can add to: one generated JSON file each, and the table of all of them."""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.core.errors import DataError
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.shapes import (
    fault,
    finite,
    flag,
    keyed,
    listed,
    optional,
    record,
    text,
    unreadable_part,
    whole,
)
from nait.store import is_signed, signed, write_json, write_text
from nait.sweeps.grouping.boards import PlacedRun
from nait.sweeps.render.leaderboard_tables import by_amount, number
from nait.sweeps.render.markdown import escaped, table
from nait.sweeps.reports.leaderboard import Measured
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.paired import Difference
from nait.sweeps.stored_runs.method_names import CONTROL

FORMAT = 1
ROWS, TABLE = "rows", "TABLE.md"
ID_CHARS = 12
LARGEST_MB = 16
"""The size of the largest row that is read, in MB."""
LOCAL = ("path", "paths", "folder", "file")
"""Last parts of settings that hold paths of the submitter's machine."""
HEAD = "<!-- `nait submit` writes this file from the rows in rows/. -->\n\n# Entries"
NOTES = (
    "Scores are means over seeds ± the longer arm of the 95 % interval. The second number is the difference to "
    "random on the same items and seeds with its 95 % interval; n.s.: not significant after Holm's correction over "
    "the row's differences. Rows of one table have the same model, pool, recipe and evaluation, by content. A row's "
    "intervals and p are from its own runs and random's alone, so that no other row changes them. A sweep's "
    "leaderboard estimates the seed variance of its methods together, and corrects for all of them: the same runs "
    "have other intervals and p there."
)
RESULT = record(
    {"task": text, "metric": text, "items": whole, "higher_is_better": flag, "value": finite,
     "half_width": optional(finite), "random": finite,
     "minus_random": record({"value": finite, "low": finite, "high": finite, "p": finite, "significant": flag})}
)  # fmt: skip
ROW = record(
    {"format": whole, "id": text, "method": text, "settings": keyed(text), "target": text, "budget": text,
     "model": text, "pool": text, "recipe": text, "evaluation": text, "table": text, "seeds": listed(whole),
     "results": listed(RESULT), "seconds": keyed(optional(finite)), "runs": keyed(keyed(text))}
)  # fmt: skip


def row_of(found: Measured, runs: Sequence[PlacedRun], control: Sequence[PlacedRun]) -> dict[str, Any]:
    """The row of a method from a table that has only its runs and random's. It holds no path and no text."""
    first, last = runs[0], runs[-1].record.manifest
    own = [line for line in found.lines if line.method != CONTROL and line.headline]
    random = {line.task: line.value for line in found.lines if line.method == CONTROL}
    recorded = {
        name: {run.labels["seed"]: run.record.address for run in placed}
        for name, placed in ((first.method, runs), (CONTROL, control))
    }
    head = found.sheet.head
    row = {
        "format": FORMAT,
        "id": address(recorded)[:ID_CHARS],
        "method": first.method,
        "settings": {key: str(value) for key, value in first.identity.method.items() if _is_shown(key)},
        "target": first.labels["target"],
        "budget": first.budget,
        "model": head.model,
        "pool": head.pool,
        "recipe": head.recipe,
        "evaluation": head.evaluation,
        "table": address(first.identity.table),
        "seeds": sorted(int(run.labels["seed"]) for run in runs),
        "results": [_result(line, random[line.task]) for line in own],
        "selected_rows": own[0].selected_rows,
        "seconds": {
            "select": own[0].seconds_select,
            "train": own[0].seconds_train,
            "evaluate": own[0].seconds_evaluate,
        },
        "checks": dict(own[0].checks),
        "truth": dict(own[0].truth),
        "warnings": sorted({text for run in runs for text in run.record.manifest.get("warnings") or ()}),
        "fingerprints": last.get("fingerprints") or {},
        "command": _command(str(runs[0].record.manifest.get("command") or "")),
        "runs": recorded,
        "versions": last.get("versions") or {},
        "git": last.get("git"),
    }
    return signed(row)


def _is_shown(key: str) -> bool:
    return key.rsplit(".", 1)[-1] not in LOCAL


def _command(command: str) -> str:
    """The recorded command of a run, with `...` for paths."""
    shown = []
    for word in shlex.split(command):
        key, given, value = word.partition("=")
        if not key.startswith(("paths.", "hydra.")):
            shown.append(f"{key}=..." if given and (not _is_shown(key) or "/" in value) else word)
    return shlex.join(shown)


def _result(line: Line, random: float) -> dict[str, Any]:
    """A benchmark of a row. Raises: DataError for one without a difference to random."""
    compared = line.difference
    if compared is None or not math.isfinite(line.value):
        raise DataError(
            f"no difference of {line.selector} to random can be computed: the score must be a mean over items, and "
            "finite",
            where=line.task,
            fix="Evaluate without this benchmark, or another metric of it.",
        )
    return {
        "task": line.task,
        "metric": line.metric,
        "items": line.n,
        "higher_is_better": line.higher_is_better,
        "value": line.value,
        "half_width": line.half_width,
        "random": random,
        "minus_random": _difference(compared),
    }


def _difference(found: Difference) -> dict[str, Any]:
    p = found.p if found.adjusted is None else found.adjusted
    return {
        "value": found.value, "low": found.low, "high": found.high, "p": p, "significant": found.significant
    }  # fmt: skip


def write_row(folder: Path, row: Mapping[str, Any]) -> Path:
    """Write a row's file into `folder`/rows. The same runs give the same file."""
    path = folder / ROWS / f"{row['id']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, dict(row))
    return path


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows in `folder`/rows. Raises: DataError for a file that `nait submit` has not written like this."""
    found = []
    for path in sorted((folder / ROWS).glob("*.json")):
        try:
            row = json.loads(regular_text(path, largest_mb=LARGEST_MB))
        except (OSError, ValueError, RecursionError) as error:
            raise DataError(f"cannot be read ({error})", where=str(path), fix=_AGAIN) from error
        wrong = unreadable_part(row) or fault(row, ROW)
        if not wrong and not is_signed(row):
            wrong = "differs from its checksum: rows are generated, not edited"
        if not wrong and path.stem != row["id"]:
            wrong = f"is the row {row['id']}"
        if wrong:
            raise DataError(wrong.strip(), where=str(path), fix=_AGAIN)
        found.append(row)
    return found


_AGAIN = "Remove the file and run `nait submit` again."


def write_table(folder: Path) -> Path:
    """Write the table of all rows in `folder`. Raises: DataError for a file that is not a row."""
    path = folder / TABLE
    text = tables_of(read_rows(folder))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(path, text)
    return path


def tables_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """The Markdown text of the table: a section per model, pool, recipe and evaluation, largest gain first."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        place = tuple(str(row[name]) for name in ("model", "pool", "recipe", "evaluation", "table"))
        groups.setdefault(place, []).append(row)
    parts = [HEAD, NOTES if rows else "No row yet."]
    for place, group in sorted(groups.items()):
        model, pool, recipe, evaluation, _ = place
        parts.append(f"## {escaped(f'{model}, {pool}: {evaluation}')}")
        parts.append(escaped(f"Model {model}; pool {pool}; {recipe}; evaluation {evaluation}."))
        parts.append(_table(group))
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    tasks = sorted({one["task"] for row in rows for one in row["results"]})
    header = ["method", "target", "budget", "seeds", *tasks, "select s", "row"]
    body = []
    for row in sorted(
        rows, key=lambda row: (row["target"], by_amount(row["budget"]), -_mean_gain(row), row["id"])
    ):
        cells = {one["task"]: _cell(one) for one in row["results"]}
        seconds = row["seconds"].get("select")
        body.append(
            [row["method"], row["target"], row["budget"], str(len(row["seeds"])), *(cells.get(t, "") for t in tasks),
             "" if seconds is None else f"{seconds:.1f}", row["id"]]
        )  # fmt: skip
    return table(header, body)


def _mean_gain(row: Mapping[str, Any]) -> float:
    gains = [one["minus_random"]["value"] * (1 if one["higher_is_better"] else -1) for one in row["results"]]
    return math.fsum(gains) / len(gains) if gains else 0.0


def _cell(one: Mapping[str, Any]) -> str:
    """`0.855 ± 0.086; +0.372 [+0.280, +0.464]`."""
    width, compared = one["half_width"], one["minus_random"]
    score = number(one["value"]) + ("" if width is None else f" ± {number(width)}")
    value, low, high = (number(compared[name], signed=True) for name in ("value", "low", "high"))
    return f"{score}; {value} [{low}, {high}]" + ("" if compared["significant"] else " n.s.")
