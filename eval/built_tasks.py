"""The harness's task objects of a suite, built from the task files and their data."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.code_execution.code_eval import CodeEval, providing
from nait.eval.isolation import PYTHON_SEED, quiet_lm_eval, seeded
from nait.eval.local_data import air_gap
from nait.eval.suites.generated_code import metric_files
from nait.eval.suites.requirements import data_source
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import Function
from nait.eval.suites.task_settings import check_examples, leave_items_out, shots
from nait.hub.reachability import offline_variable


@contextmanager
def built_tasks(
    suite: Suite,
    *,
    mirror: Path | None,
    online: bool,
    num_fewshot: int | Mapping[str, int] | None,
    seed: int,
    code: CodeEval,
) -> Iterator[dict[str, Any]]:
    """Context with name -> the harness's task object, a silent harness, and RNGs seeded with `seed`.

    Tasks that run generated code do it by `code`. Converted data are kept in a temporary folder until the context
    ends.

    Raises: ConfigError if a task cannot be built, or if its data hold fewer few-shot examples than it shows.
    """
    import lm_eval.api.task
    import lm_eval.utils
    from jinja2 import TemplateError

    with (
        tempfile.TemporaryDirectory(prefix="nait-eval-") as scratch,
        quiet_lm_eval(lm_eval.api.task, lm_eval.utils.env),
        seeded(seed),
    ):
        files = {path for task in suite.tasks for path in metric_files(task)}
        with (
            air_gap(mirror, online=online, scratch=Path(scratch)),
            providing(code, files) if files else nullcontext(),
        ):
            tasks = {task.name: _build(task, shots(task, suite, num_fewshot), seed) for task in suite.tasks}
        code.outcomes.clear()  # the task files of the harness try the metric when they are imported
        try:
            yield tasks
        except TemplateError as error:  # of an item that is not the first
            raise ConfigError(
                f"a template of the tasks {', '.join(tasks)} fails ({type(error).__name__}: {error})",
                where="eval.tasks",
                fix="Correct the templates of the task files.",
            ) from error


def _build(task: Task, num_fewshot: int | None, seed: int) -> Any:
    """The harness's task object, with its number of few-shot examples and their seed set."""
    from jinja2 import TemplateError
    from lm_eval.tasks import TaskManager

    # Some tasks shuffle their rows with the global RNG, so each task starts from the harness's own seed.
    random.seed(PYTHON_SEED)
    spec = str(task.entry.path) if task.entry.path and not task.overrides else _full_definition(task)
    try:
        (built,) = TaskManager(include_defaults=False).load([spec])["tasks"].values()
    except IndexError as error:  # the harness reads the first item
        raise ConfigError(
            f"the data of the task '{task.name}' hold no item of it",
            where="eval.tasks",
            fix="Add items to the copy of its data, or list the tasks that have some.",
        ) from error
    except (
        ImportError, OSError, KeyError, ValueError, TypeError, AttributeError, ArithmeticError, MemoryError,
        RecursionError, TemplateError,
    ) as error:  # fmt: skip
        raise ConfigError(
            f"task '{task.name}' cannot be built ({type(error).__name__}: {error})",
            where="eval.tasks",
            fix=_advice(task, error),
        ) from error
    built.set_config("num_fewshot", num_fewshot)
    built.set_fewshot_seed(seed)
    leave_items_out(built)
    check_examples(task.name, built)
    return built


def _advice(task: Task, error: Exception) -> str:
    """What to do about a task that cannot be built."""
    name = offline_variable()
    if isinstance(error, ModuleNotFoundError):
        return "Install the package, or remove the task."
    if name and data_source(task).repo:
        return f"{name} is set, so only the cache is read: unset it, or set eval.mirror=FOLDER."
    return ""


def _full_definition(task: Task) -> dict[str, Any]:
    """A task's definition with the overrides of its groups and with its functions imported."""
    from lm_eval.tasks._yaml_loader import _import_func_in_yml, load_yaml

    def imported(value: Any) -> Any:
        if isinstance(value, Function):
            return _import_func_in_yml(value.spec, value.folder)
        if isinstance(value, Mapping):
            return {key: imported(part) for key, part in value.items()}
        return [imported(part) for part in value] if isinstance(value, list) else value

    base = load_yaml(task.entry.path) if task.entry.path else imported(task.entry.config)
    kept = {key: value for key, value in base.items() if key not in {"tag", "group"}}
    return {**kept, **imported(task.overrides), "task": task.name}


def item_texts(task: Any, doc: Mapping[str, Any]) -> tuple[str, ...]:
    """An item's prompt and the texts in its fields, at any depth. `task` is the harness's."""
    found = [*_strings(task.doc_to_text(doc)), *_strings(doc)]
    return tuple(dict.fromkeys(text for text in found if text.strip()))


def _strings(value: Any) -> Iterator[str]:
    """The texts in a value. A list of texts, such as an item's choices, is one text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _strings(part)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        texts = [part for part in value if isinstance(part, str)]
        if texts:
            yield " ".join(texts)
        for part in value:
            if not isinstance(part, str):
                yield from _strings(part)
