"""Contaminate: pool, reference sets and evaluation items in, the texts they share out; kept in the store."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nait.core.contracts import Evaluator
from nait.core.dataset.contamination import (
    BEYOND,
    SHORTEST_EQUAL,
    Contamination,
    Hit,
    Side,
    as_items,
    comparable,
    side_of,
    texts_of,
)
from nait.core.dataset.examples import Pool, Target, fingerprint
from nait.core.errors import DataError
from nait.store import Artifact, Store, write_json

VERSION = 2
"""2: hits name the role of both sides, short whole texts are found inside others, and what was looked at is kept."""
LIMIT_VERSION = 1
"""Of looks under a limit. 1: items beyond it are marked, and a row may have a hit on both sides of it."""
HITS = "contamination.json"
UNCHECKED = "Contamination was not checked: contamination=null."
NO_EVALUATION = "The evaluation was not looked at: the job has no stage 'evaluate'."
LISTED = 6


def contaminate(
    pool: Pool, targets: Sequence[Target], *, evaluator: Evaluator | None, rule: Contamination, store: Store
) -> Artifact:
    """The artifact of all hits: pool and targets among the evaluation's items, the pool among the targets.

    Items beyond the evaluation's limit are looked for too: they are test items. What is beyond it is marked.
    """
    suite = evaluator.key() if evaluator else None
    limit = (suite or {}).get("limit")
    key = {
        "contamination": VERSION,
        "ngram": rule.ngram,
        "pool": {"name": pool.name, "examples": pool.fingerprint},
        "targets": {target.name: target.fingerprint for target in targets},
        "suite": suite,
        **({"beyond limit": LIMIT_VERSION} if limit else {}),
    }

    def write(part: Path) -> Mapping[str, Any]:
        found = evaluator.items() if evaluator else {}
        tasks = {Side("task", task): items for task, items in found.items()}
        references = {side_of(target): as_items(target) for target in targets}
        hits = rule.compare(pool, {**tasks, **references})
        for target in targets:
            hits += rule.compare(target, tasks)
        write_json(part / HITS, [_as_json(hit) for hit in hits])
        counts = {task: len(items) for task, items in found.items()}
        looked = {
            "pool": {"name": pool.name, **_counted([texts_of(one) for one in pool.examples])},
            "targets": {side.name: _counted([one.texts for one in items]) for side, items in references.items()},
            "tasks": {
                side.name: {
                    **_counted([one.texts for one in items]),
                    "evaluated": sum(one.evaluated for one in items),
                }
                for side, items in tasks.items()
            },
            "missing": list((suite or {}).get("missing", ())),
            "hits_in_tasks": sum(hit.other.role == "task" for hit in hits),
            "hits_in_evaluated": sum(hit.other.role == "task" and hit.evaluated for hit in hits),
        }  # fmt: skip
        return {"hits": len(hits), "items": sum(counts.values()), "tasks": counts, "looked": looked}

    return store.produce("contamination", key, write)


def _counted(rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """How many rows or items there are, and how many have no text that is long enough to be found."""
    return {"rows": len(rows), "too_short": sum(not comparable(texts) for texts in rows)}


def _as_json(hit: Hit) -> dict[str, Any]:
    sides = {"rows": hit.rows._asdict(), "other": hit.other._asdict()}
    return {**sides, "id": hit.id, "other_id": hit.other_id, "kind": hit.kind, "evaluated": hit.evaluated}


def read_hits(artifact: Artifact) -> list[Hit]:
    """The hits that were found. A store from before version 2 has names alone, without their role.

    One from before items beyond a limit were marked has their numbers, which are below the limit or not.
    """
    limit = (artifact.manifest["key"].get("suite") or {}).get("limit")

    def side(value: str | Mapping[str, Any]) -> Side:
        return Side("", value) if isinstance(value, str) else Side(value["role"], value["name"])

    def hit(one: Mapping[str, Any]) -> Hit:
        other = side(one["other"])
        known = other.role == "target" or _below(one["other_id"], limit)
        evaluated = bool(one.get("evaluated", known))
        return Hit(side(one["rows"]), one["id"], other, one["other_id"], one["kind"], evaluated)

    return [hit(one) for one in json.loads((artifact.path / HITS).read_text(encoding="utf-8"))]


def _below(item: str, limit: int | None) -> bool:
    return not limit or not item.isdigit() or int(item) < limit


def describe(hits: Iterable[Hit]) -> list[str]:
    """A line for each pair of sides that share texts: what is said aloud."""
    pairs: dict[tuple[Side, Side], list[Hit]] = {}
    for hit in hits:
        pairs.setdefault((hit.rows, hit.other), []).append(hit)
    return [
        f"Contamination: {len({hit.id for hit in found})} row(s) of {rows} share text with {other}, such as row "
        f"{found[0].id} with {found[0].other_id} ({found[0].kind}).{_beyond(found)}"
        for (rows, other), found in pairs.items()
    ]


def _beyond(hits: Sequence[Hit]) -> str:
    """How many rows share text with items that are evaluated, where others do with items beyond the limit."""
    if all(hit.evaluated for hit in hits):
        return ""
    among = {hit.id for hit in hits if hit.evaluated}
    rest = len({hit.id for hit in hits} - among)
    return (
        f" Of these rows {len(among)} share text with an item that is evaluated, {rest} with items {BEYOND} alone, "
        "which are test items too."
    )


def describe_look(manifest: Mapping[str, Any]) -> list[str]:
    """What was looked at, what was not, and whether it was clean: from the manifest of a look."""
    looked = manifest.get("looked")
    if looked is None:
        return [f"{manifest.get('items', 0):,} evaluation items were looked for (by an earlier version)."]
    tasks, targets = looked["tasks"], looked["targets"]
    said = []
    if tasks:
        among = _among({"pool": {looked["pool"]["name"]: looked["pool"]}, "target": targets})
        said.append(f"{_listed('task', tasks, 'items')} were looked for in {among}.")
        said += _limited(manifest)
    if targets:
        said.append(
            f"{_listed('target', targets, 'rows')} were looked for in the pool {looked['pool']['name']}."
        )
    said += _not_looked(manifest, looked)
    if not looked["hits_in_tasks"] and any(one["rows"] > one["too_short"] for one in tasks.values()):
        sides = [f"the pool {looked['pool']['name']}", *(f"the target {name}" for name in targets)]
        said.append(f"No text of the tasks {', '.join(tasks)} was found in {' or '.join(sides)}.")
    return said


def evaluated(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Task -> how many of the items that were looked for the evaluation asks, under its limit."""
    limit = (manifest["key"].get("suite") or {}).get("limit")
    tasks: Mapping[str, Mapping[str, int]] = (manifest.get("looked") or {}).get("tasks", {})
    return {name: one.get("evaluated", min(one["rows"], limit or one["rows"])) for name, one in tasks.items()}


def _limited(manifest: Mapping[str, Any]) -> list[str]:
    """How many of the items are evaluated, where a limit leaves some out."""
    asked, total = (
        sum(evaluated(manifest).values()),
        sum(one["rows"] for one in manifest["looked"]["tasks"].values()),
    )
    if asked == total:
        return []
    limit = manifest["key"]["suite"]["limit"]
    return [
        f"Under eval.limit={limit}, {asked:,} of these {total:,} items are evaluated; the others are test items too."
    ]


def _among(sides: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    return " and in ".join(_listed(role, named, "rows") for role, named in sides.items() if named)


def _listed(role: str, named: Mapping[str, Mapping[str, int]], what: str) -> str:
    """The count, then the names: "1,319 items of the task gsm8k"."""
    names = list(named)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    total = sum(one["rows"] for one in named.values())
    return f"{total:,} {what} of the {role}{'s' if len(names) > 1 else ''} {', '.join(names[:LISTED])}{more}"


def _not_looked(manifest: Mapping[str, Any], looked: Mapping[str, Any]) -> list[str]:
    """What could not be compared, one line each."""
    said = [] if manifest["key"]["suite"] else [NO_EVALUATION]
    said += [f"The task {task} was not looked at: its data are missing." for task in looked["missing"]]
    for role, what in (("task", "items"), ("target", "rows")):
        named = looked[f"{role}s"]
        said += [
            f"The {role} {name} has no {what} to look at." for name, one in named.items() if not one["rows"]
        ]
        short = {name: one for name, one in named.items() if one["too_short"]}
        if short:
            count = sum(one["too_short"] for one in short.values())
            which = _listed(role, short, what).split(" of the ", 1)[1]
            said.append(
                f"{count:,} {what} of the {which} are below {SHORTEST_EQUAL} words: no copy of them is found."
            )
    return said


def decontaminated(pool: Pool, hits: Sequence[Hit]) -> Pool:
    """The pool without the rows that are in the evaluation; hits among reference rows stay.

    Raises: DataError when no row is left.
    """
    gone = {hit.id for hit in hits if hit.rows.role == "pool" and hit.other.role == "task"}
    if not gone:
        return pool
    kept = tuple(example for example in pool.examples if example.id not in gone)
    if not kept:
        raise DataError(
            f"all {len(pool):,} rows are in the evaluation",
            where=f"pool '{pool.name}'",
            mend="Take another pool or evaluation, or set contamination.exclude=false.",
        )
    skipped = {**pool.skipped, "is in the evaluation": len(pool) - len(kept)}
    return replace(pool, examples=kept, fingerprint=fingerprint(kept), skipped=skipped)
