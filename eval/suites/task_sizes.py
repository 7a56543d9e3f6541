"""Sizes: how many items tasks have, where their definitions tell; no data are read and no harness is opened."""

from __future__ import annotations

from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import OWN, Function

EMBEDDED = 200
"""Items of an embedded task whose metadata say nothing else: `n` in tasks/nano/tasks.py, which needs the harness."""


def sizes(suite: Suite, limit: int | None) -> dict[str, int]:
    """Task -> its items; {} where any task's definition does not tell."""
    found = {task.name: _size(task) for task in suite.tasks}
    known = {name: min(count, limit or count) for name, count in found.items() if count is not None}
    return known if len(known) == len(found) else {}


def _size(task: Task) -> int | None:
    made_by = task.config.get("custom_dataset")
    if not isinstance(made_by, Function) or made_by.file != OWN / "nano" / "tasks.py":
        return None
    return int((task.config.get("metadata") or {}).get("n", EMBEDDED))
