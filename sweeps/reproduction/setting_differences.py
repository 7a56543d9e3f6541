"""The settings in which a measured method differs from a published figure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nait.core.addresses import address
from nait.sweeps.reproduction.measured_arms import DIGEST_CHARS, Arm
from nait.sweeps.reproduction.published_figures import Figure, Protocol
from nait.sweeps.stats.aggregates import Line

TASKS_OWN = "the task's"
"""The cap on an answer's tokens where neither the preset nor the source sets one."""
LONGEST = 130
"""Characters of a value that a table shows: nine digests fit."""
STATED_NULLS = ("train.max_steps", "train.max_tokens")
"""Settings whose null is a statement: epochs decide how long a training is."""


@dataclass(frozen=True)
class SettingDifference:
    """One setting: its value here, and as published."""

    setting: str
    here: str
    published: str

    def __str__(self) -> str:
        return f"{self.setting} {self.here}, not {self.published}"


def setting_differences(figure: Figure, arm: Arm) -> list[SettingDifference]:
    """The settings that the source states and that differ here."""
    found = [
        SettingDifference(key, arm.facts.get(key, "unknown"), _shown(value))
        for key, value in figure.settings.items()
        if not _is_omitted(key, value) and not _equal(key, arm.facts.get(key), value)
    ]
    return found + list(_benchmark_differences(figure, arm))


def not_stated(figure: Figure, arm: Arm) -> list[tuple[str, str]]:
    """The settings that the source does not state, each with its value here."""
    omitted = [key for key, value in figure.settings.items() if _is_omitted(key, value)]
    return [(key, _short(arm.facts[key])) for key in omitted if arm.facts.get(key)]


def _short(value: str) -> str:
    """A value, or the beginning of its digest if it is a long text."""
    return value if len(value) <= LONGEST else f"a text with the digest {address(value)[:DIGEST_CHARS]}"


def _benchmark_differences(figure: Figure, arm: Arm) -> Iterator[SettingDifference]:
    measured, count = arm.measured(figure.protocols), len(figure.protocols)
    if len(measured) < count:
        missing = [name for name in figure.protocols if name not in measured]
        yield SettingDifference(
            "benchmarks", f"{len(measured)} of {count} (without {', '.join(missing)})", f"all {count}"
        )
    for name, protocol in figure.protocols.items():
        line = arm.lines.get(protocol.task)
        if line and name not in measured:
            yield SettingDifference(f"{name}: metric", line.metric, protocol.metric)
    if measured and arm.suite.get("apply_chat_template"):
        yield SettingDifference("prompts", "in the chat template", "plain")
    for name, line in measured.items():
        yield from _protocol_differences(name, figure.protocols[name], arm, line)


def _protocol_differences(name: str, protocol: Protocol, arm: Arm, line: Line) -> Iterator[SettingDifference]:
    """How a benchmark's measured protocol differs: lacking subtasks, items, examples, cap on answers."""
    suite = arm.suite
    if line.missing:
        yield SettingDifference(f"{name}: subtasks", f"without {line.missing}", "all")
    if (items := _items(protocol, arm, line)) is not None:
        yield SettingDifference(f"{name}: items", *items)
    shots = _shots(suite.get("tasks") or {}, line)
    if shots - {protocol.shots}:
        yield SettingDifference(f"{name}: examples", "/".join(map(str, sorted(shots))), str(protocol.shots))
    caps = _of_tasks(suite.get("max_gen_toks"), line, arm)
    if caps != [protocol.tokens]:
        here, there = (
            "/".join(str(cap or TASKS_OWN) for cap in found) for found in (caps, [protocol.tokens])
        )
        yield SettingDifference(f"{name}: tokens of an answer", here, there)


def _items(protocol: Protocol, arm: Arm, line: Line) -> tuple[str, str] | None:
    """The number of items here and of the benchmark, where they differ."""
    suite = arm.suite
    if protocol.items is not None:
        return None if line.n == protocol.items else (f"{line.n:,}", f"{protocol.items:,}")
    spreads = [str(one) for one in _of_tasks(suite.get("spread"), line, arm) if one is not None]
    limits = ["/".join(spreads)] if spreads else []
    limits += [str(suite["limit"])] if suite.get("limit") is not None else []
    return (f"at most {' and '.join(limits)} of a task", "all") if limits else None


def _of_tasks(setting: Any, line: Line, arm: Arm) -> list[int | None]:
    """The different values of a setting of the suite for the tasks of a line, lowest first; None without a value.

    A setting is a number for all tasks, or by task or group. The innermost name decides, as in the evaluation.
    """
    if not isinstance(setting, Mapping):
        return [setting]
    found = set()
    for task in line.members or (line.task,):
        names = dict.fromkeys((task, *arm.owners.get(task, ()), line.task))
        found.add(next((setting[name] for name in names if name in setting), None))
    return sorted(found, key=lambda one: (one is None, one or 0))


def _shots(tasks: Mapping[str, Mapping[str, Any]], line: Line) -> set[int]:
    """The numbers of examples of a line's tasks, where the evaluation records them."""
    given = [tasks.get(name, {}).get("num_fewshot") for name in (line.members or (line.task,))]
    return {int(one) for one in given if one is not None}


def _is_omitted(key: str, value: object) -> bool:
    """Whether the source does not state a setting."""
    return value is None and key not in STATED_NULLS


def _equal(key: str, measured: str | None, stated: object) -> bool:
    """Whether a measured setting is the stated one. A device's name may have more words: A800 80GB."""
    if measured is None:
        return False
    if key == "device":
        return {*re.findall(r"\w+", str(stated))} <= {*re.findall(r"\w+", measured)}
    try:
        return math.isclose(float(measured), float(str(stated)))
    except ValueError:
        return measured.casefold() == _shown(stated).casefold() or (
            stated is None and measured in ("None", "null")
        )


def _shown(value: object) -> str:
    if value is None:
        return "null"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
