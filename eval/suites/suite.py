"""A suite: the requested names, resolved into tasks to run and groups to average.

This needs neither the harness nor a model and takes 0.1 s. It finds unknown names, too many few-shot examples and
missing data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.suites.task_definitions import Catalogue, Entry

_GROUP_KEYS = {"group", "group_alias", "task", "aggregate_metric_list", "metadata", "tag"}


@dataclass(frozen=True)
class GroupMean:
    """A mean of one metric over a group's tasks, weighted by their numbers of items or unweighted.

    `filters`: None means all filters that the tasks have for the metric.
    """

    metric: str
    filters: tuple[str, ...] | None
    weight_by_size: bool


@dataclass(frozen=True)
class Task:
    """A task as it will run.

    - `overrides`: its groups' settings, which take precedence over its definition `entry`.
    - `files`: the files that hold its definition and those settings.
    """

    name: str
    entry: Entry
    overrides: Mapping[str, Any]
    files: tuple[Path, ...] = ()

    @property
    def config(self) -> Mapping[str, Any]:
        """The definition with overrides applied; functions are not imported."""
        return {**self.entry.config, **self.overrides}

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of the task's metrics; empty if the definition leaves them to the harness."""
        listed = self.config.get("metric_list") or ()
        return tuple(str(metric["metric"]) for metric in listed if isinstance(metric["metric"], str))

    @property
    def filters(self) -> tuple[str, ...]:
        """The names of the task's filters; "" is the harness's `none`."""
        listed = self.config.get("filter_list") or ()
        return tuple("" if part["name"] == "none" else str(part["name"]) for part in listed) or ("",)


@dataclass(frozen=True)
class Group:
    """A group: its tasks at any depth, its means, and its tasks whose data are missing."""

    name: str
    tasks: tuple[str, ...]
    means: tuple[GroupMean, ...]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Suite:
    """The tasks and groups to run. `requested`: name -> its tasks. `missing`: tasks that are left out."""

    requested: Mapping[str, tuple[str, ...]]
    tasks: tuple[Task, ...]
    groups: tuple[Group, ...]
    missing: tuple[str, ...] = ()

    def owners(self, task: str) -> list[str]:
        """The groups that hold a task, the innermost first."""
        return [group.name for group in self.groups if task in group.tasks]

    def without(self, missing: Sequence[str]) -> Suite:
        """This suite without the named tasks. Groups list them as missing; empty groups are removed."""
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

    Raises: ConfigError for an unknown name, a task requested twice with different settings, or a task with images or
    audio.
    """
    tree = _Tree(catalogue)
    requested = {name: tuple(dict.fromkeys(tree.expand(name, {}, owner=""))) for name in names}
    suite = Suite(requested, tuple(tree.tasks.values()), tuple(tree.groups.values()))
    _check_supported(suite)
    return suite


class _Tree:
    """Names expanded into tasks and groups. Inner groups come before the groups that contain them."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.tasks: dict[str, Task] = {}
        self.groups: dict[str, Group] = {}

    def expand(
        self, item: str | Mapping[str, Any], overrides: Mapping[str, Any], *, owner: str,
        files: tuple[Path, ...] = (),
    ) -> list[str]:  # fmt: skip
        """The names of the tasks of an item: a requested name, or an entry of a group's `task:` list.

        `files`: the files of the groups above it.
        """
        if isinstance(item, str):
            item = {"task": item}
        name = str(item.get("group") or item["task"])
        entry = _inline_group(name, item, owner) or self.catalogue.find(name, whole=not owner)
        entry = entry or _inline(name, item, owner)
        if entry is None:
            raise ConfigError(
                f"unknown task '{name}'" + (f" in group '{owner}'" if owner else ""),
                where="eval.tasks",
                fix=self.catalogue.suggestion(name),
            )
        changed = {**overrides, **{key: item[key] for key in item if key not in {"task", "group"}}}
        above = files if entry.path is None else (*files, entry.path)
        if entry.kind == "tag":
            return [
                leaf for one in entry.members for leaf in self.expand(one, changed, owner=name, files=above)
            ]
        if entry.kind == "group":
            return self._group(entry, changed, above)
        return [self._task(Task(entry.name, entry, changed, above))]

    def _group(self, entry: Entry, overrides: Mapping[str, Any], files: tuple[Path, ...]) -> list[str]:
        below = {**entry.config, **overrides}
        below = {key: value for key, value in below.items() if key not in _GROUP_KEYS}
        members = entry.config.get("task") or []
        members = [members] if isinstance(members, str) else members
        leaves = [
            leaf for member in members for leaf in self.expand(member, below, owner=entry.name, files=files)
        ]
        means = tuple(_mean(part) for part in _listed(entry.config.get("aggregate_metric_list")))
        self.groups[entry.name] = Group(entry.name, tuple(dict.fromkeys(leaves)), means)
        return leaves

    def _task(self, task: Task) -> str:
        if self.tasks.setdefault(task.name, task).config != task.config:
            raise ConfigError(
                f"task '{task.name}' is requested twice, with different settings",
                where="eval.tasks",
                fix="Name it once, or name only one of the groups that hold it.",
            )
        return task.name


def _inline_group(name: str, item: Mapping[str, Any], owner: str) -> Entry | None:
    """The entry of a group that is defined inside a group's file with its own list of tasks, or None."""
    return _inline(name, item, owner) if "group" in item and "task" in item else None


def _inline(name: str, item: Mapping[str, Any], owner: str) -> Entry | None:
    """The entry of a group or task that is defined inside a group's file, or None."""
    if not owner or len(item) == 1:
        return None
    return Entry(f"{owner}::{name}", "group" if "group" in item else "task", None, item)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value] if value else []


def _mean(part: Mapping[str, Any]) -> GroupMean:
    filters = part.get("filter_list")
    names = None if filters is None else tuple("" if f == "none" else str(f) for f in _listed(filters))
    return GroupMean(str(part["metric"]), names, bool(part.get("weight_by_size", True)))


def _check_supported(suite: Suite) -> None:
    """Raises: ConfigError for tasks that have images or audio."""
    seen = [t.name for t in suite.tasks if t.config.get("doc_to_image") or t.config.get("doc_to_audio")]
    if seen:
        what = f"these tasks have images or audio: {', '.join(seen)}"
        raise ConfigError(what, where="eval.tasks", fix="Remove them: only text is supported.")
