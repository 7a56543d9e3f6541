"""The benchmarks that belong to a target, and the one that sorts the target's lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nait.sweeps.stats.aggregates import Line

UNUSUAL = re.compile(r"[^\w.+-]")
"""Characters of a target's name that a task's name does not have."""
Benchmarks = Mapping[str, str | Sequence[str]]
"""Target -> its benchmarks, where their names do not follow from the target's."""


def belongs(target: str, task: str, benchmarks: Benchmarks) -> bool:
    """Whether a task is the target's own benchmark: by the mapping, else by the start or end of its name."""
    if target in benchmarks:
        named = benchmarks[target]
        return task in ([named] if isinstance(named, str) else named)
    plain = UNUSUAL.sub("_", target)  # as the task of a target's held-out rows is named
    return any(
        task == name or task.endswith(f"_{name}") or task.startswith(f"{name}_") for name in (target, plain)
    )


def owned(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The headline tasks that belong to a target, or to any part of a merged target."""
    tasks = sorted({line.task for line in lines if line.headline and line.task})
    found = []
    for part in target.split("+"):
        own = [task for task in tasks if belongs(part, task, benchmarks)]
        found += [part] if part in own and part not in benchmarks else own
    return tuple(dict.fromkeys(found))


def leading(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The tasks whose mean sorts a target's lines: its own, else the first headline."""
    return owned(target, lines, benchmarks) or first_headline(lines)


def first_headline(lines: Sequence[Line]) -> tuple[str, ...]:
    """The first requested benchmark, preferably a group mean; empty where nothing was evaluated."""
    tasks = sorted((not line.members, line.task) for line in lines if line.headline and line.task)
    return (tasks[0][1],) if tasks else ()
