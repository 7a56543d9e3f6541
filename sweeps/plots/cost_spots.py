"""Score against the cost of selection and training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from nait.sweeps.grouping.names import target_labels
from nait.sweeps.plots.curves import MOST_LINES, band, items_only
from nait.sweeps.stats.aggregates import Line, marked
from nait.sweeps.stats.target_benchmarks import Benchmarks, first_headline, owned
from nait.sweeps.stored_runs.method_names import TARGETLESS


@dataclass(frozen=True)
class Spot:
    """A method's cost and score: seconds of selection and training, the score and half its interval.

    `where`: the target, or the budget if there is only one target. `items_only`: a single seed. `share`: the score is
    a share of items.
    """

    method: str
    where: str
    seconds: float
    y: float
    half_width: float | None
    items_only: bool = False
    share: bool = False

    @property
    def band(self) -> tuple[float, float]:
        """The ends of the interval as drawn."""
        return band(self.y, self.half_width, share=self.share)


def costs(lines: Sequence[Line], benchmarks: Benchmarks) -> dict[str, list[Spot]]:
    """Benchmark -> cost and score of every method, for up to two own benchmarks, else the first headline.

    Settings of a method are separate spots as long as there are at most `MOST_LINES` lines.
    """
    own = {task for target in {line.target for line in lines} for task in owned(target, lines, benchmarks)}
    tasks = tuple(sorted(own)) if 0 < len(own) < 3 else first_headline(lines)
    found = {}
    targets = target_labels(line.target for line in lines if line.method not in TARGETLESS)
    few = len({line.selector for line in lines}) <= MOST_LINES
    for task in tasks:
        spots = [
            Spot(
                line.selector if few else line.method,
                _where(line, targets),
                seconds,
                line.value,
                line.half_width,
                items_only([line]),
                line.share,
            )
            for line in _once(line for line in lines if line.task == task)
            if (seconds := (line.seconds_select or 0.0) + (line.seconds_train or 0.0)) > 0
        ]
        if len({spot.method for spot in spots}) > 1:
            found[marked(task, (line for line in lines if line.task == task))] = spots
    return found


def _once(lines: Iterable[Line]) -> list[Line]:
    """The lines without repetitions of targetless methods for other targets."""
    found: dict[tuple[str, str, str], Line] = {}
    for line in lines:
        target = "" if line.method in TARGETLESS else line.target
        found.setdefault((line.selector, target, line.budget), line)
    return list(found.values())


def _where(line: Line, targets: Mapping[str, str]) -> str:
    if len(targets) < 2:
        return "" if line.budgetless else line.budget
    return "" if line.method in TARGETLESS else targets[line.target]
