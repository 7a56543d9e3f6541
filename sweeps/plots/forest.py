"""Forest plot: the difference of each line to the control with its confidence interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nait.sweeps.grouping.names import fit, unique_names
from nait.sweeps.render.svg import FAINT, INK, PALETTE, canvas, share_scale
from nait.sweeps.stats.aggregates import Line, marked
from nait.sweeps.stats.paired import ITEMS_ONLY, Difference
from nait.sweeps.stats.target_benchmarks import Benchmarks, owned, parts_of
from nait.sweeps.stored_runs.method_names import TARGETLESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

OWN = "the target's own benchmark"
MOST = 40
"""Maximum number of lines in a readable figure; the best are shown."""


@dataclass(frozen=True)
class Forest:
    """Line names, best first, and measure -> the difference of each line, None where missing.

    `left_out`: the number of lines beyond the best `MOST`.
    """

    names: tuple[str, ...]
    panels: Mapping[str, tuple[Difference | None, ...]]
    left_out: int = 0


def forest(lines: Sequence[Line], benchmarks: Benchmarks) -> Forest | None:
    """Differences on the target's own benchmark and on the first headline; None with fewer than two lines."""
    headlines = _headlines(lines)
    groups: dict[tuple[str, str, str], list[Line]] = {}
    for line in headlines:
        target = "" if line.method in TARGETLESS else line.target
        budget = "" if line.budgetless else line.budget
        groups.setdefault((line.selector, target, budget), []).append(line)
    if len(groups) < 2:
        return None
    named = dict(zip(unique_names(list(groups)), groups.values(), strict=True))
    first = min((not line.members, line.task) for line in headlines)[1]
    own = {target: owned(target, lines, benchmarks)[:1] for target in parts_of(lines)}
    drawn = {line.task for line in headlines if _is_own(line, own)}
    measures = {drawn.pop() if len(drawn) == 1 else OWN: None, first: first}
    found = {name: _cells(group, measures, own) for name, group in named.items()}
    tested = {name for name, cells in found.items() if any(cell.tested for cell in cells.values() if cell)}
    if tested:
        found = {name if name in tested else f"{name} ({ITEMS_ONLY})": cells for name, cells in found.items()}
    titles = [title for title in measures if any(cells[title] for cells in found.values())]
    order = sorted(found, key=lambda name: _place(found[name], titles))[:MOST]
    panels = {
        _title(title, measures[title], headlines, own): tuple(found[name][title] for name in order)
        for title in titles
    }
    return Forest(tuple(order), panels, left_out=len(found) - len(order))


def _is_own(line: Line, own: Mapping[str, Sequence[str]]) -> bool:
    """Whether a line is on its target's own benchmark. `own`: that of each single target."""
    return line.task in own.get(line.target, ())


def _title(title: str, task: str | None, lines: Sequence[Line], own: Mapping[str, Sequence[str]]) -> str:
    """The panel's title, marked where lower is better."""
    shown = [line for line in lines if (line.task == task if task else _is_own(line, own))]
    return marked(title, shown)


def _headlines(lines: Sequence[Line]) -> list[Line]:
    return [line for line in lines if line.difference and line.headline]


def _cells(
    group: Sequence[Line], measures: Mapping[str, str | None], own: Mapping[str, Sequence[str]]
) -> dict[str, Difference | None]:
    """Measure -> the line's difference on that task, or on its target's own benchmark where the task is None."""
    return {
        title: next(
            (line.difference for line in group if (line.task == task if task else _is_own(line, own))),
            None,
        )
        for title, task in measures.items()
    }


def _place(cells: Mapping[str, Difference | None], titles: Sequence[str]) -> tuple[tuple[bool, float], ...]:
    """Sort key: best value in the first panel first; lines without a value there come last, by the next panel."""
    values = [cells[title] for title in titles]
    return tuple((one is None, -one.gain if one else 0.0) for one in values)


def forest_plot(found: Forest, control: str) -> Figure:
    """One panel per measure with the same lines: significant points filled and coloured, others hollow.

    A panel with a single seed throughout is marked on its axis; a single-seed line among others in its name.
    """
    count, lines = len(found.panels), len(found.names)
    figure, axes = canvas(3.2 + 2.6 * count, 0.9 + 0.2 * lines, 1, count)
    for k, (ax, (title, cells)) in enumerate(zip(axes, found.panels.items(), strict=True)):
        ax.axvline(0.0, color=INK, linewidth=0.8)
        for y, cell in enumerate(cells):
            if cell:
                _draw(ax, y, cell)
        ax.set_ylim(lines - 0.4, -0.6)
        ax.set_yticks(range(lines), list(fit(found.names).values()) if k == 0 else [""] * lines)
        ax.tick_params(axis="y", length=0)
        ax.set_title(title, loc="left", color=INK)
        tested = any(cell.tested for cell in cells if cell)
        ax.set_xlabel(f"score minus {control}" + ("" if tested else f" ({ITEMS_ONLY})"))
        ax.grid(axis="x", linewidth=0.6)
        ax.spines["left"].set_visible(False)
    share_scale(axes, "x")
    return figure


def _draw(ax: Axes, y: int, cell: Difference) -> None:
    """Draw a point and its 95 % interval."""
    better, worse = PALETTE[0], PALETTE[1]
    colour = (better if cell.gain > 0 else worse) if cell.significant else INK
    face = colour if cell.significant else FAINT
    ax.plot([cell.low, cell.high], [y, y], "-", color=colour, linewidth=1.2)
    ax.plot([cell.value], [y], "o", color=colour, markerfacecolor=face, markersize=5)
