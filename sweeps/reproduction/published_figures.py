"""Published figures, read from `sweeps/published.yaml`: value, table, source and settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

ALL = "all"
"""The target of a figure that uses every direction."""
NOT_FOR_COSTS = ("train.", "eval.", "benchmark ", "seeds", "selected rows")
"""Beginnings of the settings that do not concern the cost of selection."""


@dataclass(frozen=True)
class Protocol:
    """The harness task of a benchmark, its main metric as tables show it, and its number of examples.

    `tokens`: the cap on an answer; None keeps the task's own. `items`: the benchmark's number; None where unknown.
    """

    task: str
    metric: str
    shots: int
    tokens: int | None = None
    items: int | None = None


@dataclass(frozen=True)
class Figure:
    """One published number. `settings`: name -> value; None where the source does not state it.

    `protocols`: benchmark -> protocol, of the mean; empty for a cost. `value`: percent; with `over`, the gain over
    that method in percent of its mean; hours for a cost. `targets`: of the method; empty for any.
    """

    name: str
    selector: str
    value: float
    table: str
    settings: Mapping[str, Any]
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    targets: frozenset[str] = frozenset()
    order: str = "Highest"
    over: str = ""

    @property
    def is_cost(self) -> bool:
        return not self.protocols

    @property
    def unit(self) -> str:
        return "h" if self.is_cost else f"% over {self.over}" if self.over else "%"


@dataclass(frozen=True)
class Published:
    """The figures of one source."""

    source: str
    figures: tuple[Figure, ...]

    @property
    def tasks(self) -> frozenset[str]:
        """The harness tasks of all figures."""
        return frozenset(one.task for figure in self.figures for one in figure.protocols.values())


@cache
def published() -> Published:
    """The figures that this package ships."""
    return parse(yaml.safe_load(resources.files("nait.sweeps").joinpath("published.yaml").read_text("utf-8")))


def parse(content: Mapping[str, Any]) -> Published:
    """The figures of a file's content."""
    protocols = {name: Protocol(**given) for name, given in content["benchmarks"].items()}
    means = {name: {one: protocols[one] for one in names} for name, names in content["means"].items()}
    figures = []
    for given in content["figures"]:
        cost = "hours" in given
        common = {**content["settings"], **content["selectors"].get(given["selector"], {})}
        kept = {key: value for key, value in common.items() if not (cost and key.startswith(NOT_FOR_COSTS))}
        target = given.get("target", "")
        figures.append(
            Figure(
                name=given["name"],
                selector=given["selector"],
                value=float(given["hours"] if cost else given["value"]),
                table=given["table"],
                settings={**kept, **given.get("settings", {})},
                protocols={} if cost else means[given["mean"]],
                targets=frozenset(content["directions"] if target == ALL else [target] if target else []),
                order=given.get("order", "Highest"),
                over=given.get("over", ""),
            )
        )
    return Published(content["source"], tuple(figures))
