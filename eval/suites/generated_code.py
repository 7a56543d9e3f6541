"""Tasks that run code: their own functions, and the code that the model writes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import OWN, Function, library

_METRIC = "code_eval"
METRICS = frozenset({
    "acc", "acc_all", "acc_bytes", "acc_mutual_info", "acc_norm", "bits_per_byte", "bleu",
    "brier_score", "bypass", "byte_perplexity", "chrf", "exact_match", "f1", "likelihood", "mcc", "perplexity", "ter",
    "word_perplexity",
})  # fmt: skip
"""The harness's own metrics. Any other name makes it look for a script in the working folder or on the Hub."""


CALLS = frozenset({"custom_generate", "trust_remote_code"})
"""Settings of generation by which transformers runs code of a folder or of the Hub."""
READERS = frozenset({"eval", "generator", "iceberg", "pandas", "spark", "sql"})
"""Readers of `datasets` that run a program, a query or a pickle instead of reading a file."""

LOADING = frozenset({"cache_dir", "download_config", "save_infos", "storage_options", "token"})
"""Settings of `dataset_kwargs` by which `datasets` writes to any folder, or signs in somewhere."""


def check_trust(suite: Suite, *, trusted: bool) -> None:
    """Raises: ConfigError for tasks of the user's folders that run code or write files, unless it is trusted."""
    found = {task.name: code for task in suite.tasks if (code := _foreign_code(task))}
    if found and not trusted:
        shown = ", ".join(f"{name} ({code})" for name, code in list(found.items())[:4])
        raise ConfigError(
            f"these task files run code, or write files: {shown}{' and others' if len(found) > 4 else ''}",
            where="eval.include",
            fix="Read them; if you trust the code, set eval.trust_task_code=true.",
        )


def _foreign_code(task: Task) -> str:
    """What a task runs or writes that is set outside this package and the harness; empty if nothing.

    A function of the harness counts too: with rows of the task's own it may run what they hold.
    """
    if all(map(_is_shipped, task.files)):
        return ""
    functions = [f"!function {one.spec}" for one in (*_functions(task.config), *task.entry.functions)]
    metrics = [
        f"metric {one['metric']}"
        for one in _entries(task)
        if isinstance(one["metric"], str) and (one.get("hf_evaluate") or one["metric"] not in METRICS)
    ]
    settings = task.config.get("generation_kwargs")
    calls = sorted(CALLS & {*map(str, settings)}) if isinstance(settings, Mapping) else []
    reader = str(task.config.get("dataset_path"))
    loading = task.config.get("dataset_kwargs")
    options = sorted(LOADING & {*map(str, loading)}) if isinstance(loading, Mapping) else []
    found = [
        *functions,
        *metrics,
        *(f"generation_kwargs {name}" for name in calls),
        *(f"dataset_kwargs {name}" for name in options),
    ]
    return next(iter([*found, *([f"dataset_path {reader}"] if reader in READERS else [])]), "")


def _entries(task: Task) -> list[Mapping[str, Any]]:
    return [
        one for one in task.config.get("metric_list") or () if isinstance(one, Mapping) and "metric" in one
    ]


def _is_shipped(path: Path) -> bool:
    return any(path.resolve().is_relative_to(folder.resolve()) for folder in (OWN, library()))


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
