"""Measured methods with the settings that published figures state."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nait.core.statistics.results import Row
from nait.store import Artifact
from nait.sweeps.grouping.recorded_facts import MERGING_ORDERS, RecordedFacts
from nait.sweeps.reproduction.published_figures import Figure, Protocol
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stored_runs.method_names import TARGETLESS
from nait.sweeps.stored_runs.run_set import RunSet

SOME_ITEMS = "items of a benchmark"


@dataclass(frozen=True)
class Arm:
    """The lines of one method, target and budget by task; its recorded facts; its evaluation's suite."""

    name: str
    method: str
    targets: frozenset[str]
    lines: Mapping[str, Line]
    facts: Mapping[str, str]
    suite: Mapping[str, Any]

    def is_of(self, figure: Figure) -> bool:
        """Whether the figure is about this method, target and order."""
        if self.method != figure.selector:
            return False
        if self.method in TARGETLESS:
            return True
        order = self.facts.get("order", "")
        order = "Highest" if order in MERGING_ORDERS else order
        return order == figure.order and (not figure.targets or figure.targets == self.targets)

    def measured(self, protocols: Mapping[str, Protocol]) -> dict[str, Line]:
        """Benchmark -> the line of its task, where the task was measured with the published metric."""
        found = {name: self.lines.get(one.task) for name, one in protocols.items()}
        return {name: line for name, line in found.items() if line and line.metric == protocols[name].metric}

    def mean(self, protocols: Mapping[str, Protocol]) -> tuple[float, float | None]:
        """The mean over the measured benchmarks and half its 95 % interval, in percent; NaN without any.

        The interval takes the benchmarks as independent; None where that of a benchmark is unknown.
        """
        lines = list(self.measured(protocols).values())
        if not lines:
            return math.nan, None
        widths = [line.half_width for line in lines if line.half_width is not None]
        half = 100 * math.hypot(*widths) / len(lines) if len(widths) == len(lines) else None
        return 100 * sum(line.value for line in lines) / len(lines), half

    @property
    def any_line(self) -> Line:
        return next(iter(self.lines.values()))


def arms(runs: RunSet, rows: Sequence[Row], lines: Sequence[Line]) -> list[Arm]:
    """The methods of one table."""
    records = {(row.selector, row.target, row.budget): row for row in rows}
    found = []
    for key, row in records.items():
        own = {line.task: line for line in lines if (line.selector, line.target, line.budget) == key}
        record = runs.find("runs", row.run)
        if not own or record is None:
            continue
        evaluation = runs.find("evaluations", row.evaluation) if row.evaluation else None
        suite = evaluation.manifest["key"].get("suite", {}) if evaluation else {}
        facts = _facts(runs, record, next(iter(own.values())))
        targets = frozenset(row.target.split("+"))
        found.append(Arm(row.selector, row.method, targets, own, facts, suite))
    return found


def _facts(runs: RunSet, record: Artifact, line: Line) -> dict[str, str]:
    """The recorded settings under the names of the published ones."""
    known, recorded = record.manifest, RecordedFacts(runs, record)
    labels, options = known["labels"], known.get("options") or {}
    address = known["links"].get("scores")  # the base model has none
    scores = runs.find("scores", str(address)) if address else None
    counts = known.get("reference_rows") or {}
    return {
        **recorded.settings,
        **recorded.method(),
        **recorded.recipe(),
        "model": str(labels["model"]),
        "pool": str(labels["pool"]),
        "selected rows": str(line.selected_rows),
        "seeds": str(line.seeds),
        "reference rows": "+".join(str(count) for count in counts.values()),
        "template": str(options.get("template") or "unknown"),
        "devices": f"{_devices(scores):.3g}",
        "device": ", ".join(scores.manifest.get("energy_of", ()) if scores else ()) or "unknown",
    }


def _devices(scores: Artifact | None) -> float:
    """The mean number of processes that a selection's seconds are of."""
    facts = scores.manifest if scores else {}
    seconds = float(facts.get("seconds_from_nothing") or 0.0)
    return float(facts.get("process_seconds_from_nothing", seconds)) / seconds if seconds else 1.0


def setting_differences(figure: Figure, arm: Arm) -> list[str]:
    """What differs between the published and the measured number, in words; settings that the source omits do not."""
    found = [
        f"{key} {arm.facts.get(key, 'unknown')}, not {_shown(value)}"
        for key, value in figure.settings.items()
        if not _is_omitted(key, value) and not _equal(key, arm.facts.get(key), value)
    ]
    measured = arm.measured(figure.protocols)
    missing = [name for name in figure.protocols if name not in measured]
    if missing:
        found.append(f"{len(measured)} of {len(figure.protocols)} benchmarks (without {', '.join(missing)})")
    return found + _evaluation_differences(figure, arm, measured)


def not_stated(figure: Figure, arm: Arm) -> list[str]:
    """The settings that the source does not state, with the measured value."""
    omitted = [key for key, value in figure.settings.items() if _is_omitted(key, value)]
    return [f"{key} ({arm.facts[key]} here)" for key in omitted if arm.facts.get(key)]


def _evaluation_differences(figure: Figure, arm: Arm, measured: Mapping[str, Line]) -> list[str]:
    suite, found = arm.suite, []
    if measured and suite.get("limit") is not None:
        found.append(f"{suite['limit']} {SOME_ITEMS}, not all")
    if measured and suite.get("apply_chat_template"):
        found.append("prompts in the chat template")
    for name, line in measured.items():
        found += [f"{name} {words}" for words in _protocol_differences(figure.protocols[name], suite, line)]
    return found


def _protocol_differences(protocol: Protocol, suite: Mapping[str, Any], line: Line) -> list[str]:
    """How a benchmark's measured protocol differs: lacking subtasks, items, examples, cap on answers."""
    found = [f"without {line.missing}"] if line.missing else []
    if (items := _of_task(suite.get("spread"), line)) is not None:
        found.append(f"with {items} items, not all")
    shots = _shots(suite.get("tasks") or {}, line)
    if shots - {protocol.shots}:
        shown = "/".join(map(str, sorted(shots)))
        found.append(f"with {shown} examples, not {protocol.shots}")
    tokens = _of_task(suite.get("max_gen_toks"), line)
    if tokens != protocol.tokens:
        here, there = (cap or "the task's number of" for cap in (tokens, protocol.tokens))
        found.append(f"with {here} tokens for an answer, not {there}")
    return found


def _of_task(setting: Any, line: Line) -> Any:
    """A setting of the suite for a line's task: the number for all tasks, or the task's own; None without one."""
    return setting.get(line.task) if isinstance(setting, Mapping) else setting


def _shots(tasks: Mapping[str, Mapping[str, Any]], line: Line) -> set[int]:
    """The numbers of examples of a line's tasks, where the evaluation records them."""
    given = [tasks.get(name, {}).get("num_fewshot") for name in (line.members or (line.task,))]
    return {int(one) for one in given if one is not None}


def _is_omitted(key: str, value: object) -> bool:
    """Whether the source does not state a setting. `train.max_steps` null means: epochs decide."""
    return value is None and key != "train.max_steps"


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
