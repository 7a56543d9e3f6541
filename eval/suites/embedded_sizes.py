"""Numbers of items of the embedded tasks, from their definitions alone. Other tasks' data would have to be read."""

from __future__ import annotations

from nait.eval.suites.item_choices import chosen_by_task
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import OWN, Function
from nait.eval.suites.task_settings import ByName

EMBEDDED = 200
"""Default number of items of an embedded task: `n` in tasks/nano/tasks.py, which imports `datasets`."""


def embedded_sizes(suite: Suite, items: ByName, limit: int | None) -> dict[str, int]:
    """Task -> number of evaluated items; {} if any task of the suite is not embedded."""
    found = {task.name: _size(task) for task in suite.tasks}
    known = {name: count for name, count in found.items() if count is not None}
    if len(known) < len(found):
        return {}
    return {name: len(numbers) for name, numbers in chosen_by_task(suite, known, items, limit).items()}


def _size(task: Task) -> int | None:
    made_by = task.config.get("custom_dataset")
    if not isinstance(made_by, Function) or made_by.file != OWN / "nano" / "tasks.py":
        return None
    return int((task.config.get("metadata") or {}).get("n", EMBEDDED))
