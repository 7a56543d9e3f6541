"""Contamination: the texts that pools, reference sets and evaluation share, what was looked at, and what was not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nait.core.addresses import ADDRESS_CHARS, digest_lines
from nait.core.dataset.contamination import BEYOND, Hit, Side
from nait.core.statistics.results import Row
from nait.stages.checks.contamination_text import describe, describe_look, evaluated
from nait.store import Artifact
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.stored_runs.run_set import RunSet

SHOWN_HITS = 50
SHOWN_RUNS = 6
SHORT = 8


def contamination(runs: RunSet, rows: Sequence[Row]) -> tuple[Block, ...]:
    """What each run's look for shared texts found, and what it looked at; the runs without one are named."""
    looks, without = _looks(runs, rows)
    hits = dict.fromkeys(hit for look in looks for hit in _named(runs, look, looks))
    said = dict.fromkeys(line for look in looks for line in describe_look(look.manifest))
    notes = [*describe(hits), *said, *_unchecked(without, len({row.run for row in rows}))]
    found = [
        [str(hit.rows), hit.id, str(hit.other), hit.other_id, hit.kind, _asked(hit)]
        for hit in list(hits)[:SHOWN_HITS]
    ]
    caption = f"The first {len(found)} of {len(hits)} shared texts, by the ids on both sides."
    looked = [list(one) for one in dict.fromkeys(line for look in looks for line in _looked(look, looks))]
    return (
        Notes(tuple(notes)),
        Table.of("contamination", ["rows", "id", "are in", "id there", "kind", "evaluated"], found, caption=caption),
        Table.of(
            "looked", ["looked at", "rows or items", "evaluated", "too short to be found"], looked,
            caption="What was compared; of a task's items, how many are evaluated. A text below 5 words is not.",
        ),
    )  # fmt: skip


def _asked(hit: Hit) -> str:
    """Whether a hit's item is evaluated; empty for a row of a reference set."""
    if hit.other.role == "target":
        return ""
    return "yes" if hit.evaluated else BEYOND


def _looks(runs: RunSet, rows: Sequence[Row]) -> tuple[list[Artifact], list[str]]:
    """The looks that the runs link to, each once, and the names of the runs without one."""
    looks: dict[str, Artifact] = {}
    without = []
    for address, row in {row.run: row for row in rows}.items():
        run = runs.find("runs", address)
        link = run.manifest["links"].get("contamination") if run else None
        found = runs.find("contamination", str(link)) if link else None
        if found is None:
            named = (row.target or "no target", row.budget, f"seed {row.seed}")
            without.append(f"{row.selector} ({', '.join(filter(None, named))})")
        else:
            looks[found.address] = found
    return list(looks.values()), without


def _unchecked(without: Sequence[str], count: int) -> list[str]:
    if not without:
        return []
    names = sorted(set(without))
    more = f" and {len(names) - SHOWN_RUNS} more" if len(names) > SHOWN_RUNS else ""
    return [
        f"Contamination was not checked in {len(without)} of {count} runs: {', '.join(names[:SHOWN_RUNS])}{more}."
    ]


def _named(runs: RunSet, look: Artifact, looks: Sequence[Artifact]) -> Iterator[Hit]:
    """The hits of a look, whose sides have names that are unique among the looks."""
    for hit in runs.hits(look):
        yield replace(hit, rows=_unique(hit.rows, look, looks), other=_unique(hit.other, look, looks))


def _unique(side: Side, look: Artifact, looks: Sequence[Artifact]) -> Side:
    """The side, with a part of its content's digest where another look has other content under this name."""
    contents = {_content(side, one.manifest["key"]) for one in looks} - {""}
    if len(contents) < 2:
        return side
    return Side(side.role, f"{side.name} ({_content(side, look.manifest['key'])[:SHORT]})")


def _content(side: Side, key: Mapping[str, Any]) -> str:
    """What tells a pool, target or task from others of its name; empty where this look has none of that name."""
    if side.role == "pool":
        pool = key.get("pool")
        return str(pool["examples"]) if isinstance(pool, Mapping) and pool["name"] == side.name else ""
    if side.role == "target":
        return str(key.get("targets", {}).get(side.name, ""))
    task = ((key.get("suite") or {}).get("tasks") or {}) if side.role == "task" else {}
    found = task.get(side.name) if isinstance(task, Mapping) else None
    return digest_lines([str(found)])[:ADDRESS_CHARS] if found else ""


def _looked(look: Artifact, looks: Sequence[Artifact]) -> Iterator[tuple[str, int, int | str, int]]:
    """Each side of a look with its rows or items, of a task how many are evaluated, and how many are too short."""
    looked = look.manifest.get("looked")
    if looked is None:
        return
    sides = {
        Side("pool", looked["pool"]["name"]): looked["pool"],
        **{Side("target", name): one for name, one in looked["targets"].items()},
        **{Side("task", name): one for name, one in looked["tasks"].items()},
    }
    asked = evaluated(look.manifest)
    for side, one in sides.items():
        count = asked[side.name] if side.role == "task" else ""
        yield str(_unique(side, look, looks)), one["rows"], count, one["too_short"]
