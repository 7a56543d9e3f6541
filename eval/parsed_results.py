"""The harness's result dictionaries, parsed into `Result` and `Item`.

The harness uses keys such as "acc,none" and "acc_stderr,none"; they do not leave this file. The filter `none` becomes
the empty string. Group means are computed here, from the tasks' results:

    value  = sum_i w_i v_i           stderr^2 = sum_i w_i^2 se_i^2

with w_i = n_i / N if the group weighs by size (the harness's mean, under the metric's name), and w_i = 1 / K for the
macro mean (under `<metric>_macro`). The tasks are fixed strata, not a sample of tasks, so their choice adds no
variance.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nait.core.statistics.results import Item, Member, Result
from nait.eval.suites.listed_metrics import listed
from nait.eval.suites.suite import Group, Suite

MACRO = "_macro"
_PRIMARY_MEAN = "primary_macro"
SHOWN = 6
"""Tasks that a warning names."""


def parse(
    raw: Mapping[str, Any], suite: Suite, *, primary: Mapping[str, str]
) -> tuple[tuple[Result, ...], tuple[Item, ...], list[str]]:
    """Results (requested names first, then groups, then tasks), items, and warnings about skipped values.

    `primary` names the main metric of a task or group as "metric" or "metric/filter". By default it is the first
    metric that a task's file lists, under its first filter, and a group's first mean. Metrics of opposite directions
    have no mean.
    """
    items, warnings = _items(raw.get("samples") or {})
    counts = Counter((item.task, item.metric, item.filter) for item in items)
    by_task = {
        task.name: _mark(
            list(_task_results(raw, task.name, counts)), primary.get(task.name, ""), *listed(task)[:1]
        )
        for task in suite.tasks
    }
    for name, results in by_task.items():
        if not results:
            warnings.append(f"{name} has no metric that is a number")
    warnings += _undirected(raw, by_task)
    warnings += _not_finite(by_task, items)
    groups = [result for group in suite.groups for result in _group_results(group, by_task, primary)]
    warnings += _without_mean(suite, by_task, groups)
    warnings += _partial_means(suite, groups)
    flat = [*groups, *(result for results in by_task.values() for result in results)]
    asked = list(suite.requested)
    place = {name: i for i, name in enumerate(asked)}
    return tuple(sorted(flat, key=lambda result: place.get(result.task, len(asked)))), items, warnings


def _number(value: Any) -> float | None:
    try:
        return None if isinstance(value, (str, bytes)) else float(value)
    except (TypeError, ValueError):
        return None


def _named(filter_name: str) -> str:
    return "" if filter_name == "none" else filter_name


def _items(samples: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[tuple[Item, ...], list[str]]:
    items: list[Item] = []
    skipped: set[str] = set()
    for task, rows in samples.items():
        for row in rows:
            for metric in row["metrics"]:
                value = _number(row[metric])
                if value is None:
                    skipped.add(f"{task} {metric}")
                    continue
                doc_hash = str(row.get("doc_hash", ""))
                items.append(Item(task, int(row["doc_id"]), metric, _named(row["filter"]), value, doc_hash))
    warnings = [f"no outcome of single items for {', '.join(sorted(skipped))}"] if skipped else []
    return tuple(items), warnings


def _task_results(
    raw: Mapping[str, Any], task: str, counts: Mapping[tuple[str, str, str], int]
) -> Iterator[Result]:
    values = raw["results"][task]
    for key, value in values.items():
        metric, comma, filter_name = key.partition(",")
        number = _number(value)
        if not comma or metric.endswith("_stderr") or number is None:
            continue
        name = _named(filter_name)
        yield Result(
            task=task,
            metric=metric,
            value=number,
            stderr=_number(values.get(f"{metric}_stderr,{filter_name}")),
            n=counts.get((task, metric, name)) or int(values.get("sample_len", 0)),
            filter=name,
            num_fewshot=raw.get("n-shot", {}).get(task),
            higher_is_better=_direction(raw, task, metric) is not False,
        )


def _direction(raw: Mapping[str, Any], task: str, metric: str) -> bool | None:
    """Whether a higher value is better; None where neither the task's file nor the harness says it."""
    found: bool | None = raw.get("higher_is_better", {}).get(task, {}).get(metric)
    return found


def _undirected(raw: Mapping[str, Any], by_task: Mapping[str, Sequence[Result]]) -> list[str]:
    """A warning about metrics without a direction; none if all have one."""
    names = dict.fromkeys(
        f"{name} {result.metric}"
        for name, results in by_task.items()
        for result in results
        if _direction(raw, name, result.metric) is None
    )
    if not names:
        return []
    return [
        f"higher is taken as better for {', '.join(names)}: the task file does not say. Write higher_is_better in "
        "its metric_list"
    ]


def _not_finite(by_task: Mapping[str, Sequence[Result]], items: Sequence[Item]) -> list[str]:
    """A warning for each task with a value that is infinite or not a number, with the count of such items."""
    broken = Counter((one.task, one.metric, one.filter) for one in items if not math.isfinite(one.value))
    found = []
    for name, results in by_task.items():
        parts = [
            f"{one.metric} {one.value} ({broken[name, one.metric, one.filter]} of {one.n} items)"
            for one in results
            if not math.isfinite(one.value)
        ]
        if parts:
            found.append(f"{name} and the means with it lack a finite value: {', '.join(parts)}")
    return found


def _mark(results: Sequence[Result], *wanted: str) -> list[Result]:
    """The results with one marked primary: the first of the wanted ones that is present, else the first."""
    fits = [
        result
        for metric, _, filter_name in (one.partition("/") for one in wanted)
        for result in results
        if result.metric == metric and filter_name in ("", result.filter)
    ]
    main = next(iter([*fits, *results]), None)
    return [_changed(result, primary=result is main) for result in results]


def _changed(result: Result, *, primary: bool) -> Result:
    return result if result.primary == primary else Result(**{**vars(result), "primary": primary})


def _group_results(
    group: Group, by_task: Mapping[str, Sequence[Result]], primary: Mapping[str, str]
) -> list[Result]:
    results: list[Result] = []
    tasks = [by_task[name] for name in group.tasks]
    for mean in group.means:
        filters = mean.filters
        if filters is None:
            found = (r.filter for members in tasks for r in members if r.metric == mean.metric)
            filters = tuple(dict.fromkeys(found))
        for name in filters:
            parts = [r for members in tasks for r in members if (r.metric, r.filter) == (mean.metric, name)]
            if parts and not _opposed(parts):
                results.append(_average(group, parts, mean.metric, weighted=mean.weight_by_size))
                results.append(_average(group, parts, mean.metric + MACRO, weighted=False))
    if not group.means:
        main = [result for members in tasks for result in members if result.primary]
        if main and not _opposed(main):
            metrics = {result.metric for result in main}
            name = metrics.pop() + MACRO if len(metrics) == 1 else _PRIMARY_MEAN
            results.append(_average(group, main, name, weighted=False))
    return _mark(results, primary.get(group.name, ""))


def _opposed(parts: Sequence[Result]) -> bool:
    """Whether higher is better for some of the results and lower for others."""
    return len({part.higher_is_better for part in parts}) > 1


def _without_mean(
    suite: Suite, by_task: Mapping[str, Sequence[Result]], groups: Sequence[Result]
) -> list[str]:
    """A warning for each group whose tasks have results and which has no mean of them."""
    known = {result.task for result in groups}
    found = []
    for group in suite.groups:
        results = [result for name in group.tasks for result in by_task[name]]
        if group.name in known or not results:
            continue
        wanted = {mean.metric for mean in group.means} or {one.metric for one in results if one.primary}
        if any(result.metric in wanted for result in results):
            why = (
                "higher is better for some of its tasks and lower for others. Set eval.primary for its tasks"
            )
        else:
            why = f"its tasks have no metric {', '.join(sorted(wanted))}"
        found.append(f"{group.name} has no mean: {why}")
    return found


def _partial_means(suite: Suite, groups: Sequence[Result]) -> list[str]:
    """A warning for each group whose main mean leaves out tasks that ran, as they lack its metric or its filter."""
    tasks = {group.name: group.tasks for group in suite.groups}
    found = []
    for mean in groups:
        members = {member.task for member in mean.members}
        left_out = [name for name in tasks[mean.task] if name not in members]
        if mean.primary and left_out:
            named = ", ".join(left_out[:SHOWN]) + (" ..." if len(left_out) > SHOWN else "")
            found.append(
                f"{mean.task} {mean.metric} is the mean of {len(members)} of its {len(tasks[mean.task])} tasks: "
                f"{named} {'has' if len(left_out) == 1 else 'have'} no such metric"
            )
    return found


def _average(group: Group, parts: Sequence[Result], metric: str, *, weighted: bool) -> Result:
    total = sum(part.n for part in parts)
    shares = [part.n / total if weighted else 1 / len(parts) for part in parts]
    errors = [part.stderr for part in parts if part.stderr is not None]
    known = len(errors) == len(parts)
    shots = {part.num_fewshot for part in parts}
    filters = {part.filter for part in parts}
    return Result(
        task=group.name,
        metric=metric,
        value=math.fsum(share * part.value for share, part in zip(shares, parts, strict=True)),
        stderr=(
            math.sqrt(math.fsum((s * e) ** 2 for s, e in zip(shares, errors, strict=True))) if known else None
        ),
        n=total,
        filter=filters.pop() if len(filters) == 1 else "",
        num_fewshot=shots.pop() if len(shots) == 1 else None,
        higher_is_better=all(part.higher_is_better for part in parts),
        is_group=True,
        missing=group.missing,
        members=tuple(
            Member(part.task, part.metric, part.filter, share)
            for share, part in zip(shares, parts, strict=True)
        ),
    )
