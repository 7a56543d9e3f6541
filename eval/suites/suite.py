"""A suite: the names a user asks for, taken apart into tasks that can run and groups to average.

Everything here is known before the harness or a model is opened: unknown names, generated code, too many
few-shot examples and missing data are found in a tenth of a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.suites.task_definitions import Catalogue, Entry

_GROUP_KEYS = {"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"}


@dataclass(frozen=True)
class GroupMean:
    """A mean that a group defines: of one metric, over its tasks, weighted by their items or alike.

    `filters` None means every filter that its tasks have for the metric.
    """

    metric: str
    filters: tuple[str, ...] | None
    weight_by_size: bool


@dataclass(frozen=True)
class Task:
    """A task as it will run. `overrides` is what groups above it change in its definition `entry`."""

    name: str
    entry: Entry
    overrides: Mapping[str, Any]

    @property
    def config(self) -> Mapping[str, Any]:
        """The whole definition, overrides applied, functions not imported."""
        return {**self.entry.config, **self.overrides}

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of its metrics; empty where the definition leaves them to the harness."""
        listed = self.config.get("metric_list") or ()
        return tuple(str(metric["metric"]) for metric in listed if isinstance(metric["metric"], str))

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of its filters; "" is the harness's own `none`."""
        listed = self.config.get("filter_list") or ()
        return tuple("" if part["name"] == "none" else str(part["name"]) for part in listed) or ("",)


@dataclass(frozen=True)
class Group:
    """A group: the tasks below it at any depth, the means it defines, the tasks that lack their data."""

    name: str
    tasks: tuple[str, ...]
    means: tuple[GroupMean, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """What runs: each name asked for with its tasks, all tasks and groups, and the tasks left out."""

    requested: Mapping[str, tuple[str, ...]]
    tasks: tuple[Task, ...]
    groups: tuple[Group, ...]
    missing: tuple[str, ...] = ()

    def owners(self, task: str) -> list[str]:
        """The groups that hold a task, the innermost first."""
        return [group.name for group in self.groups if task in group.tasks]

    def without(self, missing: Sequence[str]) -> Suite:
        """This suite without the named tasks, each group knowing what it lost. An empty group goes."""
        lost = set(missing)
        groups = [
            Group(
                group.name,
                tuple(name for name in group.tasks if name not in lost),
                group.means,
                tuple(name for name in group.tasks if name in lost),
            )
            for group in self.groups
        ]
        return Suite(
            self.requested,
            tuple(task for task in self.tasks if task.name not in lost),
            tuple(group for group in groups if group.tasks),
            tuple(missing),
        )


def resolve(names: Sequence[str], catalogue: Catalogue) -> Suite:
    """The suite of these names.

    Raises: ConfigError for an unknown name, for a task asked for with two different settings, and for a task
    that would run the code a model writes or show it pictures or sound.
    """
    tree = _Tree(catalogue)
    requested = {name: tuple(dict.fromkeys(tree.expand(name, {}, owner=""))) for name in names}
    suite = Suite(requested, tuple(tree.tasks.values()), tuple(tree.groups.values()))
    _refuse(suite)
    return suite


class _Tree:
    """Names taken apart one by one; groups are kept with those inside them first."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.tasks: dict[str, Task] = {}
        self.groups: dict[str, Group] = {}

    def expand(self, item: str | Mapping[str, Any], overrides: Mapping[str, Any], *, owner: str) -> list[str]:
        """The names of the tasks that an item of a group's `task:` list, or a name asked for, stands for."""
        if isinstance(item, str):
            item = {"task": item}
        name = str(item.get("group") or item["task"])
        entry = self.catalogue.find(name, whole=not owner) or _inline(name, item, owner)
        if entry is None:
            raise ConfigError(
                f"unknown task '{name}'" + (f" in group '{owner}'" if owner else ""),
                where="eval.tasks",
                mend=self.catalogue.suggestion(name),
            )
        changed = {**overrides, **{key: item[key] for key in item if key not in {"task", "group"}}}
        if entry.kind == "tag":
            return [leaf for member in entry.members for leaf in self.expand(member, changed, owner=name)]
        return self._group(entry, changed) if entry.kind == "group" else [self._task(entry, changed)]

    def _group(self, entry: Entry, overrides: Mapping[str, Any]) -> list[str]:
        below = {**entry.config, **overrides}
        below = {key: value for key, value in below.items() if key not in _GROUP_KEYS}
        members = entry.config.get("task") or []
        members = [members] if isinstance(members, str) else members
        leaves = [leaf for member in members for leaf in self.expand(member, below, owner=entry.name)]
        means = tuple(_mean(part) for part in _listed(entry.config.get("aggregate_metric_list")))
        self.groups[entry.name] = Group(entry.name, tuple(dict.fromkeys(leaves)), means)
        return leaves

    def _task(self, entry: Entry, overrides: Mapping[str, Any]) -> str:
        task = Task(entry.name, entry, overrides)
        if self.tasks.setdefault(task.name, task).config != task.config:
            raise ConfigError(
                f"task '{task.name}' is asked for twice, with different settings",
                where="eval.tasks",
                mend="Name it once, or name only one of the groups that hold it.",
            )
        return task.name


def _inline(name: str, item: Mapping[str, Any], owner: str) -> Entry | None:
    """The entry of a group or task that a group file defines on the spot, or None."""
    if not owner or len(item) == 1:
        return None
    return Entry(f"{owner}::{name}", "group" if "group" in item else "task", None, item)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _mean(part: Mapping[str, Any]) -> GroupMean:
    filters = part.get("filter_list")
    names = None if filters is None else tuple("" if f == "none" else str(f) for f in _listed(filters))
    return GroupMean(str(part["metric"]), names, bool(part.get("weight_by_size", True)))


def _refuse(suite: Suite) -> None:
    unsafe = [task.name for task in suite.tasks if task.config.get("unsafe_code")]
    if unsafe:
        raise ConfigError(
            f"scoring runs the code that the model writes: {', '.join(unsafe)}",
            where="eval.tasks",
            mend="Leave them out: it will need a flag of its own, which is not there yet.",
        )
    seen = [t.name for t in suite.tasks if t.config.get("doc_to_image") or t.config.get("doc_to_audio")]
    if seen:
        raise ConfigError(f"not text alone: {', '.join(seen)}", where="eval.tasks", mend="Leave them out.")
