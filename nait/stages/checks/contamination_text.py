"""Contamination as text: warnings about shared texts, and what a check compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nait.core.dataset.contamination import BEYOND, SHORTEST_EQUAL, Hit, Side

COMPARED = "looked"
"""The manifest's field with the numbers of compared rows and items."""
NO_EVALUATION = "The evaluation was not searched: the job has no stage 'evaluate'."
LISTED = 6
"""Names shown in a list; the rest is counted."""


def describe(hits: Iterable[Hit]) -> list[str]:
    """One warning for each pair of sides that share texts."""
    pairs: dict[tuple[Side, Side], list[Hit]] = {}
    for hit in hits:
        pairs.setdefault((hit.rows, hit.other), []).append(hit)
    return [
        f"Contamination: {len({hit.id for hit in found})} row(s) of {rows} share text with {other}, such as row "
        f"{found[0].id} with {found[0].other_id} ({found[0].kind}).{_limit_note(found)}"
        for (rows, other), found in pairs.items()
    ]


def _limit_note(hits: Sequence[Hit]) -> str:
    """How many rows match evaluated items, and how many only items beyond the limit; empty without the latter."""
    if all(hit.evaluated for hit in hits):
        return ""
    among = {hit.id for hit in hits if hit.evaluated}
    rest = len({hit.id for hit in hits} - among)
    return (
        f" Of these rows {len(among)} share text with an item that is evaluated, {rest} with items {BEYOND} alone, "
        "which are also test items."
    )


def describe_check(manifest: Mapping[str, Any]) -> list[str]:
    """What a check compared, what it could not compare, and whether it was clean. `manifest`: the artifact's."""
    compared = manifest.get(COMPARED)
    if compared is None:
        return [f"{manifest.get('items', 0):,} evaluation items were searched for (by an earlier version)."]
    tasks, targets = compared["tasks"], compared["targets"]
    lines = []
    if tasks:
        among = _among({"pool": {compared["pool"]["name"]: compared["pool"]}, "target": targets})
        lines.append(f"{_listed('task', tasks, 'items')} were searched for in {among}.")
        lines += _limited(manifest)
    if targets:
        lines.append(
            f"{_listed('target', targets, 'rows')} were searched for in the pool {compared['pool']['name']}."
        )
    lines += _not_compared(manifest, compared)
    if not compared["hits_in_tasks"] and any(one["rows"] > one["too_short"] for one in tasks.values()):
        sides = [f"the pool {compared['pool']['name']}", *(f"the target {name}" for name in targets)]
        lines.append(f"No text of the tasks {', '.join(tasks)} was found in {' or '.join(sides)}.")
    return lines


def evaluated(manifest: Mapping[str, Any]) -> dict[str, int]:
    """Task -> number of compared items that are evaluated under the limit."""
    limit = (manifest["key"].get("suite") or {}).get("limit")
    tasks: Mapping[str, Mapping[str, int]] = (manifest.get(COMPARED) or {}).get("tasks", {})
    return {name: one.get("evaluated", min(one["rows"], limit or one["rows"])) for name, one in tasks.items()}


def _limited(manifest: Mapping[str, Any]) -> list[str]:
    """A line on the items that a limit leaves out; none without such items."""
    asked, total = (
        sum(evaluated(manifest).values()),
        sum(one["rows"] for one in manifest[COMPARED]["tasks"].values()),
    )
    if asked == total:
        return []
    suite = manifest["key"]["suite"]
    how = [f"eval.{name}={suite[name]}" for name in ("spread", "limit") if suite.get(name)]
    return [
        f"Under {' and '.join(how)}, {asked:,} of these {total:,} items are evaluated; the others are also test "
        "items."
    ]


def _among(sides: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    return " and in ".join(_listed(role, named, "rows") for role, named in sides.items() if named)


def _listed(role: str, named: Mapping[str, Mapping[str, int]], what: str) -> str:
    """The count, then the names: "1,319 items of the task gsm8k"."""
    names = list(named)
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    total = sum(one["rows"] for one in named.values())
    return f"{total:,} {what} of the {role}{'s' if len(names) > 1 else ''} {', '.join(names[:LISTED])}{more}"


def _not_compared(manifest: Mapping[str, Any], compared: Mapping[str, Any]) -> list[str]:
    """One line for each thing that could not be compared."""
    lines = [] if manifest["key"]["suite"] else [NO_EVALUATION]
    lines += [f"The task {task} was not compared: its data are missing." for task in compared["missing"]]
    for role, what in (("task", "items"), ("target", "rows")):
        named = compared[f"{role}s"]
        lines += [
            f"The {role} {name} has no {what} to compare." for name, one in named.items() if not one["rows"]
        ]
        short = {name: one for name, one in named.items() if one["too_short"]}
        if short:
            count = sum(one["too_short"] for one in short.values())
            which = _listed(role, short, what).split(" of the ", 1)[1]
            lines.append(
                f"{count:,} {what} of the {which} are below {SHORTEST_EQUAL} words: copies of them are not found."
            )
    return lines
