"""Which items of a task are evaluated: all, a number of them spread over the task, or the first ones of these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nait.eval.suites.suite import Suite
from nait.eval.suites.task_settings import ByName, setting_of


def spread(count: int, most: int | None) -> range | list[int]:
    """`most` of the numbers 0 to count - 1, evenly spread: floor(i * count / most) for i = 0, 1, ...; None: all."""
    if most is None or most >= count:
        return range(count)
    return [i * count // most for i in range(most)]


def chosen_items(count: int, most: int | None, limit: int | None) -> list[int]:
    """The numbers of the items of a task with `count` items that are evaluated, ascending."""
    return list(spread(count, most))[:limit]


def chosen_by_task(
    suite: Suite, counts: Mapping[str, int], items: ByName, limit: int | None
) -> dict[str, list[int]]:
    """Task -> the numbers of its items that are evaluated. `items` and `limit` as in `LmEval`."""
    return {
        task.name: chosen_items(counts[task.name], setting_of(items, task, suite), limit)
        for task in suite.tasks
    }


def named(setting: ByName, suite: Suite) -> Any:
    """A setting for an evaluation's address: the number, or the entries of tasks and groups in the suite, sorted."""
    if not isinstance(setting, Mapping):
        return setting
    return {name: setting[name] for name in sorted(_names(suite)) if name in setting}


def _names(suite: Suite) -> Iterable[str]:
    return {*(task.name for task in suite.tasks), *(group.name for group in suite.groups)}
