"""The report's tables of published and measured figures."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nait.core.statistics.results import Row
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.reproduction.measured_arms import Arm, arms
from nait.sweeps.reproduction.published_figures import Figure, Published, published
from nait.sweeps.reproduction.setting_differences import SettingDifference, not_stated, setting_differences
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stored_runs.run_set import RunSet

HEADER = ("line", "figure", "table", "published", "measured", "method", "verdict")
DIFFERENT = "another setting, no reproduction"
NOTE = (
    "A measured number is called a reproduction only if every setting that the source states is the same: model, "
    "pool, rows, method, recipe, benchmarks and their protocols. Model, pool, targets and tasks are compared by "
    "name, and the pool by its number of rows: the table of what the source does not state has the digests of their "
    "contents. The interval of a mean takes the benchmarks as independent."
)
ALL = "all"
SMALLEST = 0.005
"""Hours below which two decimals show nothing."""
_Key = TypeVar("_Key", bound=Hashable)


@dataclass(frozen=True)
class _Comparison:
    """A published figure beside a measured method. `value` and `half` are in the figure's unit."""

    figure: Figure
    arm: Arm
    value: float
    half: float | None
    differing: Sequence[SettingDifference]
    omitted: Sequence[tuple[str, str]]

    @property
    def cells(self) -> list[str]:
        figure = self.figure
        stated = f"{figure.value:.2f} {figure.unit}"
        return [figure.name, figure.table, stated, self._measured, self.arm.name, self._verdict]

    @property
    def _measured(self) -> str:
        if math.isnan(self.value):
            return "not measured"
        small = self.figure.is_cost and self.value < SMALLEST
        shown = f"{self.value:.1g}" if small else f"{self.value:z.2f}"
        return shown + (f" ± {self.half:.2f}" if self.half is not None else "")

    @property
    def _verdict(self) -> str:
        if self.differing:
            return DIFFERENT
        if math.isnan(self.value):
            return "not measured"
        if self.half is None:
            return "reproduction, without an interval"
        inside = abs(self.value - self.figure.value) <= self.half
        return f"reproduction: published value {'inside' if inside else 'outside'} the interval"


def beside_published(
    runs: RunSet, rows: Sequence[Row], lines: Sequence[Line], source: Published | None = None
) -> tuple[Block, ...]:
    """Each published figure of a measured method beside the measured number, and the settings in which they differ.

    Empty without the benchmarks or costs of a figure. A figure that no line of the table is about is left out.
    """
    known = source or published()
    measured = arms(runs, rows, lines)
    evaluated = any(line.task in known.tasks for line in lines)
    if not evaluated and any(line.task for line in lines):
        return ()
    found = [
        _compared(figure, arm, measured)
        for figure in known.figures
        if figure.is_cost or evaluated
        for arm in _arms_of(figure, measured)
        if (evaluated or _has_its_pool(figure, arm)) and _is_nearest(figure, arm, known)
    ]
    if not found:
        return ()
    body = [[number, *one.cells] for number, one in enumerate(found, 1)]
    caption = f"Published figures: {known.source}."
    return (
        Table.of("published", HEADER, body, caption=caption),
        _differing(found),
        _omitted(found),
        Notes((NOTE,)),
    )


def _arms_of(figure: Figure, measured: Sequence[Arm]) -> list[Arm]:
    """The arms that a figure is about; of arms with one evaluation, the first, if the figure has no target.

    None for a gain over a method that was not run.
    """
    if figure.over and all(arm.method != figure.over for arm in measured):
        return []
    found = [arm for arm in measured if arm.is_of(figure)]
    if figure.targets:
        return found
    firsts = {arm.evaluation or arm.name: arm for arm in reversed(found)}
    return [arm for arm in found if firsts[arm.evaluation or arm.name] is arm]


def _has_its_pool(figure: Figure, arm: Arm) -> bool:
    return arm.facts["pool"] == str(figure.settings.get("pool"))


def _is_nearest(figure: Figure, arm: Arm, known: Published) -> bool:
    """Whether no figure of the same name and table has the run's model where this one has another."""
    model = arm.facts["model"]
    same = (one for one in known.figures if (one.name, one.table) == (figure.name, figure.table))
    return figure.settings.get("model") == model or all(one.settings.get("model") != model for one in same)


def _compared(figure: Figure, arm: Arm, measured: Sequence[Arm]) -> _Comparison:
    value, half = _value(figure, arm, measured)
    return _Comparison(figure, arm, value, half, setting_differences(figure, arm), not_stated(figure, arm))


def _value(figure: Figure, arm: Arm, measured: Sequence[Arm]) -> tuple[float, float | None]:
    """The measured number in the figure's unit, and half its 95 % interval where it has one."""
    if figure.is_cost:
        seconds = arm.any_line.seconds_select
        return (math.nan if seconds is None else seconds / 3600), None
    value, half = arm.mean(figure.protocols)
    if not figure.over:
        return value, half
    bases = [one for one in measured if one.method == figure.over]
    if len(bases) != 1 or {*bases[0].measured(figure.protocols)} != {*arm.measured(figure.protocols)}:
        return math.nan, None
    base, _ = bases[0].mean(figure.protocols)
    return (100 * (value - base) / base if base else math.nan), None


def _differing(found: Sequence[_Comparison]) -> Table:
    """One row for each difference, with the lines that have it."""
    lines = _lines((one, number) for number, pair in enumerate(found, 1) for one in pair.differing)
    settings = list(dict.fromkeys(one.setting for one in lines))
    ordered = sorted(lines.items(), key=lambda pair: settings.index(pair[0].setting))
    body = [[one.setting, one.published, one.here, _shown(at, len(found))] for one, at in ordered]
    caption = "What differs, by the lines of the table above."
    return Table.of("differences", ("setting", "published", "here", "lines"), body, caption=caption)


def _omitted(found: Sequence[_Comparison]) -> Table:
    lines = _lines((one, number) for number, pair in enumerate(found, 1) for one in pair.omitted)
    body = [[setting, here, _shown(at, len(found))] for (setting, here), at in lines.items()]
    caption = "What the source does not state."
    return Table.of("not-stated", ("setting", "here", "lines"), body, caption=caption)


def _lines(pairs: Iterable[tuple[_Key, int]]) -> Mapping[_Key, list[int]]:
    found: dict[_Key, list[int]] = {}
    for key, number in pairs:
        found.setdefault(key, []).append(number)
    return found


def _shown(numbers: Sequence[int], count: int) -> str:
    """Line numbers with runs joined: `1-3, 5`; `all` for every line."""
    if len(numbers) == count:
        return ALL
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
