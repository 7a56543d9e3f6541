"""Settings by task or group: numbers (of few-shot examples, for example) and the main metric."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_whole
from nait.eval.parsed_results import MACRO
from nait.eval.suites.suite import Suite, Task
from nait.eval.suites.task_definitions import Catalogue

ByName = int | Mapping[str, int] | None
"""A number for all tasks, or numbers by task or group."""


def shots(task: Task, suite: Suite, num_fewshot: ByName) -> int:
    """The number of few-shot examples of a task.

    In a mapping of tasks or groups, the innermost name takes precedence. As in the harness, a task whose file fixes 0
    always has 0.

    Raises: ConfigError if the task's own list of examples is shorter than the requested number.
    """
    fixed = task.config.get("num_fewshot")
    wanted = setting_of(num_fewshot, task, suite)
    if wanted is None or fixed == 0:
        return int(fixed or 0)
    own = task.config.get("fewshot_config") or {}
    samples = own.get("samples") if isinstance(own, Mapping) else None
    if isinstance(samples, list) and not own.get("split") and wanted > len(samples):
        raise ConfigError(
            f"task '{task.name}' has {len(samples)} few-shot examples, {wanted} are requested",
            where="eval.num_fewshot",
            fix="Give the number by task or group: eval.num_fewshot={mmlu: 5}.",
        )
    return wanted


def setting_of(setting: ByName, task: Task, suite: Suite) -> int | None:
    """The number that a setting gives a task. In a mapping, the innermost name takes precedence."""
    if not isinstance(setting, Mapping):
        return setting
    names = [task.name, *suite.owners(task.name)]
    return next((setting[name] for name in names if name in setting), None)


def check_shots(num_fewshot: object) -> None:
    """Raises: ConfigError for a number of examples that is neither null nor a whole number of 0 or more."""
    by_name = num_fewshot if isinstance(num_fewshot, Mapping) else {"": num_fewshot}
    for name, count in by_name.items():
        whole = isinstance(count, int) and not isinstance(count, bool) and count >= 0
        if count is not None and not whole:
            raise ConfigError(
                f"{count!r} is not a whole number of 0 or more",
                where="eval.num_fewshot" + (f".{name}" if name else ""),
                fix="Give the number of examples before each item; null keeps the task's own.",
            )


def check_numbers(key: str, setting: object) -> None:
    """Raises: ConfigError for a setting that is not null, a whole number of 1 or more, or a mapping to such."""
    by_name = setting if isinstance(setting, Mapping) else {"": setting}
    for name, count in by_name.items():
        if count is not None or name:
            check_whole(f"eval.{key}" + (f".{name}" if name else ""), count, least=1)


EXAMPLES_VERSION, PROCESSED_VERSION = 2, 3
"""Since 2, no item is among its own few-shot examples in tasks that draw these from the evaluated split. Since 3,
nor in tasks that shuffle the choices of an item at each reading, such as GPQA."""


def examples_version(task: Task, shown: int) -> dict[str, int]:
    """The entry of an evaluation's key for a task that showed some items their own answers before; else empty."""
    config = task.config
    examples = config.get("fewshot_config") or {}
    examples = examples if isinstance(examples, Mapping) else {}
    split = examples.get("split") or config.get("fewshot_split")
    if not shown or (not split and examples.get("samples")):
        return {}
    drawn, evaluated = _drawn_and_evaluated(config, split)
    if drawn == evaluated and config.get("process_docs"):
        return {"examples": PROCESSED_VERSION}
    return {"examples": EXAMPLES_VERSION} if _offers_the_item(config, split) else {}


def _offers_the_item(config: Mapping[str, Any], split: str | None) -> bool:
    """Whether the harness draws examples from the evaluated split and does not leave the item itself out.

    It leaves it out where `split`, the split that the file names for examples, is `test_split`, or neither is named.
    """
    drawn, evaluated = _drawn_and_evaluated(config, split)
    return bool(drawn) and drawn == evaluated and split != config.get("test_split")


def _drawn_and_evaluated(config: Mapping[str, Any], split: str | None) -> tuple[str | None, str | None]:
    """The splits of a task's examples and of its items. `split`: that which the file names for examples."""
    test, validation = config.get("test_split"), config.get("validation_split")
    return split or config.get("training_split") or validation or test, test or validation


def leave_items_out(built: Any) -> None:
    """Let the harness leave each item out of its own examples where these come from the evaluated split.

    `built` is the harness's task object.
    """
    own, config = getattr(built, "fewshot_cfg", None), built.config
    if own is None or (not own.split and own.samples is not None):
        return
    settings = {name: getattr(config, name) for name in ("test_split", "validation_split", "training_split")}
    drawn, evaluated = _drawn_and_evaluated(settings, own.split)
    if _offers_the_item(settings, own.split):
        config.test_split = own.split = evaluated
    sampler = getattr(built, "sampler", None)
    processed = drawn == evaluated and config.process_docs is not None
    if sampler is not None and processed and config.num_fewshot:
        sampler.rm_eval_doc = partial(_without_item, _identifying(built.dataset[drawn], sampler.df))


def _identifying(rows: Any, items: Sequence[Mapping[str, Any]]) -> list[str]:
    """The columns of a split that its processed items still have, if nearly all differ in them; else none."""
    held = [name for name in getattr(rows, "column_names", ()) if all(name in item for item in items)]
    distinct = {repr([item[name] for name in held]) for item in items}
    return held if len(distinct) > 0.9 * len(items) else []


def _without_item(
    columns: Sequence[str], item: Mapping[str, Any], pool: Iterable[Mapping[str, Any]], n: int | None = None
) -> list[Mapping[str, Any]]:
    """The first `n` of the pool's items (None: all) without this one: equal, or of the same values in `columns`."""
    known = [name for name in columns if name in item]

    def is_item(other: Mapping[str, Any]) -> bool:
        return other == item or (bool(known) and all(other[name] == item[name] for name in known))

    return [other for other in pool if not is_item(other)][:n]


def check_examples(name: str, built: Any) -> None:
    """Raises: ConfigError if the split of a built task's few-shot examples holds fewer than it shows.

    `built` is the harness's task object. An example is never the item itself, so a split that is also evaluated
    offers one example less.
    """
    sampler, wanted = getattr(built, "sampler", None), int(built.config.num_fewshot or 0)
    if sampler is None or not wanted:
        return
    config, split = built.config, built.fewshot_cfg.split
    held = len(sampler.fewshot_docs())
    usable = max(held - (split == config.test_split), 0)
    if wanted > usable:
        named = split or config.training_split or config.validation_split or config.test_split
        place = f"in its split '{named}'" if named else "to draw from"
        note = ", of which one is the item itself" if usable < held else ""
        raise ConfigError(
            f"task '{name}' has {held} few-shot examples {place}{note}; {wanted} are requested",
            where="eval.num_fewshot",
            fix=f"Set eval.num_fewshot={usable} or less, or for this task alone "
            f"'eval.num_fewshot={{{name}: {usable}}}'.",
        )


def zero_shot_warnings(suite: Suite, num_fewshot: ByName) -> list[str]:
    """A sentence on tasks that keep 0 examples although more are requested; empty if there are none."""
    kept = {
        task.name
        for task in suite.tasks
        if task.config.get("num_fewshot") == 0 and setting_of(num_fewshot, task, suite)
    }
    counts = {name: sum(task in kept for task in tasks) for name, tasks in suite.requested.items()}
    parts = [
        name
        if suite.requested[name] == (name,)
        else f"{name} ({count} of {len(suite.requested[name])} tasks)"
        for name, count in counts.items()
        if count
    ]
    if not parts:
        return []
    return [f"eval.num_fewshot has no effect on tasks whose own files fix 0 examples: {', '.join(parts)}"]


def samples_answers(task: Task) -> bool:
    """Whether a task's answers are drawn at random, so that they depend on the seed and the batches."""
    settings = task.config.get("generation_kwargs") or {}
    drawn = settings.get("do_sample")
    return bool(drawn or (drawn is None and settings.get("temperature")))


def relevant(primary: Mapping[str, str], suite: Suite) -> dict[str, str]:
    """The entries of `primary` whose task or group is in the suite, sorted."""
    names = {*(task.name for task in suite.tasks), *(group.name for group in suite.groups)}
    return {name: metric for name, metric in sorted(primary.items()) if name in names}


def check_choices(
    suite: Suite, catalogue: Catalogue, *, primary: Mapping[str, str], numbers: Mapping[str, ByName]
) -> None:
    """Raises: ConfigError for an unknown task name, a metric that its task lacks, or too many examples.

    `numbers`: key of the config -> its setting; `num_fewshot` is one. A known name that is not in the suite is
    accepted, so that a preset works with any subset of its tasks.
    """
    named = {key: value for key, value in numbers.items() if isinstance(value, Mapping)}
    for key, names in {**named, "primary": primary}.items():
        for name in names:
            if catalogue.find(name) is None:
                raise ConfigError(
                    f"unknown task '{name}'", where=f"eval.{key}", fix=catalogue.suggestion(name)
                )
    for task in suite.tasks:
        shots(task, suite, numbers["num_fewshot"])
    _check_metrics(suite, relevant(primary, suite))


def _check_metrics(suite: Suite, primary: Mapping[str, str]) -> None:
    tasks = {task.name: task for task in suite.tasks}
    leaves = {**{name: (name,) for name in tasks}, **{group.name: group.tasks for group in suite.groups}}
    for name, wanted in primary.items():
        members = [tasks[leaf] for leaf in leaves[name]]
        metric, _, filter_name = wanted.partition("/")
        plain = metric if name in tasks else metric.removesuffix(MACRO)
        known = {metric for member in members for metric in member.metrics}
        filters = {part for member in members for part in member.filters}
        if (known and plain not in known) or (filter_name and filter_name not in filters):
            offered = ", ".join(f"{m}/{f}" if f else m for m in sorted(known) for f in sorted(filters))
            raise ConfigError(
                f"'{name}' has no metric '{wanted}'", where="eval.primary", fix=f"It has: {offered}."
            )
