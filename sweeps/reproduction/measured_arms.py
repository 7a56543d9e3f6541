"""Measured methods with the settings that published figures may state."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nait.core.statistics.results import Row
from nait.store import Artifact
from nait.sweeps.grouping.names import unique_names
from nait.sweeps.grouping.recorded_facts import MERGING_ORDERS, RecordedFacts
from nait.sweeps.reproduction.published_figures import Figure, Protocol
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stored_runs.method_names import TARGETLESS
from nait.sweeps.stored_runs.run_set import RunSet

TEMPLATE_TEXT = "template text"
MODEL_CONTENT, POOL_CONTENT = "model content", "pool content"
"""No source states these: weights or rows of the same name may be others."""
REFERENCE_CONTENT = "reference content"
BENCHMARKS = {"benchmark definitions": "eval.definitions", "benchmark data": "eval.data"}
"""Name -> the recorded digest: a task of the user's may have a benchmark's name."""
DIGEST_CHARS = 12
"""A template is known by its name and by the beginning of its digest: a key of it may have another value."""


@dataclass(frozen=True)
class Arm:
    """The lines of one method, target and budget by task; its recorded facts; its evaluation's suite and address.

    `owners`: task -> the names of the groups that contain it, the innermost first. `name` has the target and the
    budget where the table has several.
    """

    name: str
    method: str
    targets: frozenset[str]
    lines: Mapping[str, Line]
    facts: Mapping[str, str]
    suite: Mapping[str, Any]
    evaluation: str = ""
    owners: Mapping[str, Sequence[str]] = field(default_factory=dict)

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
    """The methods of one table, each once for every target and budget that change it."""
    records = {(row.selector, row.target, row.budget): row for row in rows}
    found: dict[tuple[str, str, str], Arm] = {}
    for key, row in records.items():
        own = {line.task: line for line in lines if (line.selector, line.target, line.budget) == key}
        record = runs.find("runs", row.run)
        if not own or record is None:
            continue
        first = next(iter(own.values()))
        place = (row.selector, "" if first.targetless else row.target, "" if first.budgetless else row.budget)
        evaluation = runs.find("evaluations", row.evaluation) if row.evaluation else None
        suite = evaluation.manifest["key"].get("suite", {}) if evaluation else {}
        targets = frozenset(row.target.split("+"))
        found.setdefault(
            place,
            Arm(
                row.selector,
                row.method,
                targets,
                own,
                _facts(runs, record, first),
                suite,
                row.evaluation,
                _owners(runs, evaluation),
            ),
        )
    return [
        replace(arm, name=name) for name, arm in zip(unique_names(list(found)), found.values(), strict=True)
    ]


def _owners(runs: RunSet, evaluation: Artifact | None) -> dict[str, list[str]]:
    """Task -> the groups and tags that contain it, in the order of the evaluation: the innermost first.

    An evaluation that does not record its groups, and a tag, have the smallest first, then by name.
    """
    if evaluation is None:
        return {}
    inside = {
        one.task: {member.task for member in one.members} for one in runs.results(evaluation) if one.members
    }
    inside |= {name: set(tasks) for name, tasks in evaluation.manifest.get("requested", {}).items()}
    groups = list(evaluation.manifest["key"].get("suite", {}).get("means") or ())
    places = {
        name: (groups.index(name) if name in groups else len(groups), len(inside[name]), name)
        for name in inside
    }
    found: dict[str, list[str]] = {}
    for name in sorted(inside, key=places.__getitem__):
        for task in inside[name]:
            found.setdefault(task, []).append(name)
    return found


def _facts(runs: RunSet, record: Artifact, line: Line) -> dict[str, str]:
    """The recorded settings under the names of the published ones."""
    known, recorded = record.manifest, RecordedFacts(runs, record)
    labels, options = known["labels"], known.get("options") or {}
    address = known["links"].get("scores")  # the base model has none
    scores = runs.find("scores", str(address)) if address else None
    counts = known.get("reference_rows") or {}
    recipe, evaluated = recorded.recipe(), recorded.evaluation()
    length = (
        {"train.max_tokens": "null"} if "train.max_steps" in recipe else {}
    )  # left out where it is not set
    return {
        **recorded.settings,
        **recorded.method(),
        **length,
        **recipe,
        TEMPLATE_TEXT: recipe.get("template", "unknown")[:DIGEST_CHARS],
        "model": str(labels["model"]),
        MODEL_CONTENT: recorded.model_content[:DIGEST_CHARS] or "unknown",
        "pool": str(labels["pool"]),
        POOL_CONTENT: recorded.pool_content[:DIGEST_CHARS] or "unknown",
        **{name: evaluated[fact][:DIGEST_CHARS] for name, fact in BENCHMARKS.items() if fact in evaluated},
        REFERENCE_CONTENT: "+".join(one[:DIGEST_CHARS] for one in recorded.reference.split("+")),
        "pool rows": str(scores.manifest.get("rows", "unknown")) if scores else "unknown",
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
