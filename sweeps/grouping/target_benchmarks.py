"""Benchmarks: which of them are a target's own, and which one decides the order of a target's lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nait.sweeps.stats.aggregates import Line

Benchmarks = Mapping[str, str | Sequence[str]]
"""Target -> the names of its benchmarks, where they are not the target's own."""


def belongs(target: str, task: str, benchmarks: Benchmarks) -> bool:
    """Whether a task is the target's own benchmark: by the mapping, or by its name or the begin or end of it."""
    if target in benchmarks:
        named = benchmarks[target]
        return task in ([named] if isinstance(named, str) else named)
    return task == target or task.endswith(f"_{target}") or task.startswith(f"{target}_")


def owned(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The headline tasks among the lines that are a target's own; of merged targets, each one's."""
    tasks = sorted({line.task for line in lines if line.headline and line.task})
    found = []
    for part in target.split("+"):
        own = [task for task in tasks if belongs(part, task, benchmarks)]
        found += [part] if part in own and part not in benchmarks else own
    return tuple(dict.fromkeys(found))


def leading(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The tasks whose mean orders a target's lines: its own, else the first headline (a mean, where there is one)."""
    return owned(target, lines, benchmarks) or first_headline(lines)


def first_headline(lines: Sequence[Line]) -> tuple[str, ...]:
    """The first benchmark that was asked for: a group's mean, if there is one; none where nothing was evaluated."""
    tasks = sorted((not line.members, line.task) for line in lines if line.headline and line.task)
    return (tasks[0][1],) if tasks else ()
