"""The report's table of published and measured figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nait.core.statistics.results import Row
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.reproduction.measured_arms import Arm, arms, not_stated, setting_differences
from nait.sweeps.reproduction.published_figures import Figure, Published, published
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stored_runs.run_set import RunSet

HEADER = ("figure", "table", "published", "measured", "line", "verdict", "what differs", "not stated")
DIFFERENT = "another setting, no reproduction"
NOTE = (
    "A measured number is called a reproduction only if every setting that the source states is the same: model, "
    "pool, rows, recipe, benchmarks and their protocols. The interval of a mean takes the benchmarks as independent."
)


def beside_published(
    runs: RunSet, rows: Sequence[Row], lines: Sequence[Line], source: Published | None = None
) -> tuple[Block, ...]:
    """Each published figure of a measured method beside the measured number; empty without such benchmarks or costs.

    A figure that no line of the table is about is left out.
    """
    known = source or published()
    measured = arms(runs, rows, lines)
    evaluated = any(line.task in known.tasks for line in lines)
    if not evaluated and any(line.task for line in lines):
        return ()
    body = [
        _cells(figure, arm, measured)
        for figure in known.figures
        if figure.is_cost or evaluated
        for arm in measured
        if arm.is_of(figure) and (evaluated or _has_its_pool(figure, arm)) and _is_nearest(figure, arm, known)
    ]
    if not body:
        return ()
    caption = f"Published figures: {known.source}."
    return (Table.of("published", HEADER, body, caption=caption), Notes((NOTE,)))


def _has_its_pool(figure: Figure, arm: Arm) -> bool:
    return arm.facts["pool"] == str(figure.settings.get("pool"))


def _is_nearest(figure: Figure, arm: Arm, known: Published) -> bool:
    """Whether no figure of the same name and table has the run's model where this one has another."""
    model = arm.facts["model"]
    same = (one for one in known.figures if (one.name, one.table) == (figure.name, figure.table))
    return figure.settings.get("model") == model or all(one.settings.get("model") != model for one in same)


def _cells(figure: Figure, arm: Arm, measured: Sequence[Arm]) -> list[object]:
    value, half = _value(figure, arm, measured)
    differing = setting_differences(figure, arm)
    omitted = not_stated(figure, arm)
    shown = "not measured" if math.isnan(value) else f"{value:.2f}"
    shown += f" ± {half:.2f}" if half is not None else ""
    return [
        figure.name, figure.table, f"{figure.value:.2f} {figure.unit}", shown, arm.name,
        _verdict(figure, value, half, differing), "; ".join(differing), "; ".join(omitted),
    ]  # fmt: skip


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


def _verdict(figure: Figure, value: float, half: float | None, differing: Sequence[str]) -> str:
    if differing:
        return DIFFERENT
    if math.isnan(value):
        return "not measured"
    if half is None:
        return "reproduction, without an interval"
    inside = abs(value - figure.value) <= half
    return f"reproduction: published value {'inside' if inside else 'outside'} the interval"
