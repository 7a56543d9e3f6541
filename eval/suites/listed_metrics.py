"""Metrics as task files list them: their names in order, and their directions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import Function

HARNESS_ORDER = (
    "perplexity", "acc", "f1", "mcc", "acc_norm", "acc_bytes", "exact_match", "brier_score", "likelihood",
    "word_perplexity", "byte_perplexity", "bits_per_byte",
)  # fmt: skip
"""The order in which the harness returns the metrics of its own output types, whatever a task file lists first."""
VERSION = 2
"""Since 2, a task's main metric is the first that its file lists, a metric without a direction counts as higher is
better, and metrics of opposite directions have no mean."""


def listed(task: Task) -> tuple[str, ...]:
    """The names of the task's metrics in the order of its file, also of those that are functions."""
    return tuple(_name(entry["metric"]) for entry in _entries(task))


def _entries(task: Task) -> list[Mapping[str, Any]]:
    return list(task.config.get("metric_list") or ())


def _name(metric: object) -> str:
    return metric.spec.rpartition(".")[2] if isinstance(metric, Function) else str(metric)


def reading_version(suite: Suite) -> dict[str, int]:
    """The entry of an evaluation's key for suites that older versions read differently; empty for all others."""
    changed = any(map(_reordered, suite.tasks)) or any(map(_undirected, suite.tasks))
    tasks = {task.name: task for task in suite.tasks}
    opposed = any(
        len(
            {bool(one.get("higher_is_better", True)) for name in group.tasks for one in _entries(tasks[name])}
        )
        > 1
        for group in suite.groups
    )
    return {"metrics": VERSION} if changed or opposed else {}


def _reordered(task: Task) -> bool:
    """Whether the harness may return another metric first than the task's file lists."""
    names = listed(task)
    if len(names) < 2 or (task.config.get("output_type") == "generate_until" and not _custom(task)):
        return False
    return _custom(task) or names[0] != next((name for name in HARNESS_ORDER if name in names), names[0])


def _undirected(task: Task) -> bool:
    """Whether a metric has a direction neither in the task's file nor in the harness."""
    own = [
        one
        for one in _entries(task)
        if _custom(task) or one.get("hf_evaluate") or isinstance(one["metric"], Function)
    ]
    return any("higher_is_better" not in one for one in own)


def _custom(task: Task) -> bool:
    return task.config.get("process_results") is not None
