"""Tasks whose scores come from running the code that the model writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import Function

_METRIC = "code_eval"


def function_files(task: Task) -> list[Path]:
    """The Python files of a task's functions. They are imported when the task is built."""
    return sorted({function.file for function in _functions(task.config) if function.file})


def metric_files(task: Task) -> list[Path]:
    """The Python files of a task's functions that load the metric `code_eval`."""
    return [path for path in function_files(task) if _METRIC in path.read_text(encoding="utf-8")]


def runs_code(task: Task) -> bool:
    """Whether a task says that it runs generated code, or loads the metric that does."""
    return bool(task.config.get("unsafe_code")) or bool(metric_files(task))


def check_code(suite: Suite, *, allowed: bool) -> None:
    """Raises: ConfigError for tasks that run generated code, unless it is allowed and they run it by `code_eval`."""
    found = [task for task in suite.tasks if runs_code(task)]
    if found and not allowed:
        raise ConfigError(
            f"scoring runs the code that the model writes: {', '.join(task.name for task in found)}",
            where="eval.tasks",
            fix="Set eval.allow_code_execution=true to run it, in limited processes without a network; or remove "
            "these tasks.",
        )
    other = [task.name for task in found if not metric_files(task)]
    if other:
        raise ConfigError(
            f"these tasks run generated code by their own means, without limits: {', '.join(other)}",
            where="eval.tasks",
            fix=f"Remove them: only code that is run by the metric {_METRIC} is supported.",
        )


def _functions(value: Any) -> Iterator[Function]:
    if isinstance(value, Function):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _functions(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _functions(part)
