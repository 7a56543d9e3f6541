"""The benchmarks that belong to a target, and the one that sorts the target's lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nait.core.dataset.held_out_names import CHOICES, HELD_OUT, held_out_task
from nait.sweeps.stats.aggregates import Line

Benchmarks = Mapping[str, str | Sequence[str]]
"""Target -> its benchmarks, where their names do not follow from the target's."""


def belongs(target: str, task: str, benchmarks: Benchmarks, among: Iterable[str] = ()) -> bool:
    """Whether a task is the target's own benchmark: by the mapping, else by the start or end of its name.

    A task of held-out rows is its target's alone. `among`: other targets. Of two that fit by name, such as mmlu and
    mmlu_pro, the longer one has the task; of two of one length, the one at the end of the task's name.
    """
    if target in benchmarks:
        named = benchmarks[target]
        return task in ([named] if isinstance(named, str) else named)
    return _fits(target, task) and not any(
        other not in benchmarks and _fits(other, task) and _claim(other, task) > _claim(target, task)
        for other in among
    )


def _claim(target: str, task: str) -> tuple[int, bool]:
    """How strongly a target that fits a task by name claims it."""
    return len(target), task.endswith(target)


def _fits(target: str, task: str) -> bool:
    """Whether a task's name follows from a target's."""
    if task == target:
        return True
    if task.startswith(HELD_OUT):
        own = held_out_task(target)
        return task in (own, f"{own}{CHOICES}")
    return task.endswith(f"_{target}") or task.startswith(f"{target}_")


def parts_of(lines: Iterable[Line]) -> set[str]:
    """The targets of lines, and the parts of merged ones."""
    return {part for line in lines for part in line.target.split("+")}


def owned(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The headline tasks that belong to a target, or to any part of a merged target.

    Of these, a task of the target's own name is enough, or the likelihood of its held-out rows.
    """
    tasks = sorted({line.task for line in lines if line.headline and line.task})
    found, among = [], parts_of(lines)
    for part in target.split("+"):
        own = [task for task in tasks if belongs(part, task, benchmarks, among)]
        first = (
            [] if part in benchmarks else [name for name in (part, held_out_task(part)) if name in own][:1]
        )
        found += first or own
    return tuple(dict.fromkeys(found))


def leading(target: str, lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[str, ...]:
    """The tasks whose mean sorts a target's lines: its own, else the first headline."""
    return owned(target, lines, benchmarks) or first_headline(lines)


def first_headline(lines: Sequence[Line]) -> tuple[str, ...]:
    """The first requested benchmark, preferably a group mean; empty where nothing was evaluated."""
    tasks = sorted((not line.members, line.task) for line in lines if line.headline and line.task)
    return (tasks[0][1],) if tasks else ()
