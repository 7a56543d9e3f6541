"""Contamination: texts shared between pools, reference sets and evaluations, and the coverage of the checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nait.core.addresses import ADDRESS_CHARS, digest_lines
from nait.core.dataset.contamination import BEYOND, Hit, Side
from nait.core.statistics.results import Row
from nait.stages.checks.contamination_text import COMPARED, describe, describe_check, evaluated
from nait.store import Artifact
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.stored_runs.run_set import RunSet

SHOWN_HITS = 50
SHOWN_RUNS = 6
SHORT = 8


def contamination(runs: RunSet, rows: Sequence[Row]) -> tuple[Block, ...]:
    """The overlaps found, the data compared, and the runs without a check."""
    checks, without = _checks(runs, rows)
    hits = dict.fromkeys(hit for check in checks for hit in _named(runs, check, checks))
    coverage = dict.fromkeys(line for check in checks for line in describe_check(check.manifest))
    notes = [*describe(hits), *coverage, *_unchecked(without, len({row.run for row in rows}))]
    found = [
        [str(hit.rows), hit.id, str(hit.other), hit.other_id, hit.kind, _evaluated(hit)]
        for hit in list(hits)[:SHOWN_HITS]
    ]
    caption = f"The first {len(found)} of {len(hits)} shared texts, by the ids on both sides."
    compared = [
        list(one) for one in dict.fromkeys(line for check in checks for line in _compared(check, checks))
    ]
    return (
        Notes(tuple(notes)),
        Table.of("contamination", ["rows", "id", "are in", "id there", "kind", "evaluated"], found, caption=caption),
        Table.of(
            "compared", ["compared", "rows or items", "evaluated", "too short to compare"], compared,
            caption="Data compared, and how many items of each task are evaluated. Texts below 5 words are skipped.",
        ),
    )  # fmt: skip


def _evaluated(hit: Hit) -> str:
    """Whether the item of a hit is evaluated; empty for a reference row."""
    if hit.other.role == "target":
        return ""
    return "yes" if hit.evaluated else BEYOND


def _checks(runs: RunSet, rows: Sequence[Row]) -> tuple[list[Artifact], list[str]]:
    """The checks linked by the runs, each once, and the names of the runs without one."""
    checks: dict[str, Artifact] = {}
    without = []
    for address, row in {row.run: row for row in rows}.items():
        run = runs.find("runs", address)
        link = run.manifest["links"].get("contamination") if run else None
        found = runs.find("contamination", str(link)) if link else None
        if found is None:
            named = (row.target or "no target", row.budget, f"seed {row.seed}")
            without.append(f"{row.selector} ({', '.join(filter(None, named))})")
        else:
            checks[found.address] = found
    return list(checks.values()), without


def _unchecked(without: Sequence[str], count: int) -> list[str]:
    if not without:
        return []
    names = sorted(set(without))
    more = f" and {len(names) - SHOWN_RUNS} more" if len(names) > SHOWN_RUNS else ""
    return [
        f"Contamination was not checked in {len(without)} of {count} runs: {', '.join(names[:SHOWN_RUNS])}{more}."
    ]


def _named(runs: RunSet, check: Artifact, checks: Sequence[Artifact]) -> Iterator[Hit]:
    """The hits of a check, with side names that are unique across checks."""
    for hit in runs.hits(check):
        yield replace(hit, rows=_unique(hit.rows, check, checks), other=_unique(hit.other, check, checks))


def _unique(side: Side, check: Artifact, checks: Sequence[Artifact]) -> Side:
    """The side, with a digest prefix where another check has different content under the same name."""
    contents = {_content(side, one.manifest["key"]) for one in checks} - {""}
    if len(contents) < 2:
        return side
    return Side(side.role, f"{side.name} ({_content(side, check.manifest['key'])[:SHORT]})")


def _content(side: Side, key: Mapping[str, Any]) -> str:
    """The content digest of a pool, target or task; empty where the check has none with that name."""
    if side.role == "pool":
        pool = key.get("pool")
        return str(pool["examples"]) if isinstance(pool, Mapping) and pool["name"] == side.name else ""
    if side.role == "target":
        return str(key.get("targets", {}).get(side.name, ""))
    task = ((key.get("suite") or {}).get("tasks") or {}) if side.role == "task" else {}
    found = task.get(side.name) if isinstance(task, Mapping) else None
    return digest_lines([str(found)])[:ADDRESS_CHARS] if found else ""


def _compared(check: Artifact, checks: Sequence[Artifact]) -> Iterator[tuple[str, int, int | str, int]]:
    """Each side of a check: rows or items, evaluated items of a task, and texts too short to match."""
    compared = check.manifest.get(COMPARED)
    if compared is None:
        return
    sides = {
        Side("pool", compared["pool"]["name"]): compared["pool"],
        **{Side("target", name): one for name, one in compared["targets"].items()},
        **{Side("task", name): one for name, one in compared["tasks"].items()},
    }
    asked = evaluated(check.manifest)
    for side, one in sides.items():
        count = asked[side.name] if side.role == "task" else ""
        yield str(_unique(side, check, checks)), one["rows"], count, one["too_short"]
