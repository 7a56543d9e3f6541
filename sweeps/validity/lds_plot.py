"""Forest plot of the linear datamodelling score: one panel per benchmark, one line per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nait.sweeps.grouping.names import fit
from nait.sweeps.render.svg import FAINT, INK, PALETTE, canvas
from nait.sweeps.validity.lds_statistics import Prediction, ceiling
from nait.sweeps.validity.method_scores import MethodScores, Validity

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MEAN = "mean"
MOST_PANELS = 6


def lds_plot(found: Validity) -> Figure:
    """The LDS of each method on its target's own benchmark with 95 % intervals; filled: the interval excludes 0.

    The dotted line is the ceiling: what a perfect prediction would reach.
    """
    lines = [*found.methods, *([found.control] if found.control else [])]
    tasks = list(found.subsets.benchmarks)[: MOST_PANELS - 1]
    panels: list[str | None] = [None, *tasks] if len(tasks) > 1 else list(tasks)
    figure, axes = canvas(2.6 + 1.75 * len(panels), 0.9 + 0.22 * len(lines), 1, len(panels))
    for k, (ax, task) in enumerate(zip(axes, panels, strict=True)):
        _panel(ax, lines, task, found.reliability)
        ax.set_yticks(
            range(len(lines)), list(fit(one.name for one in lines).values()) if k == 0 else [""] * len(lines)
        )
    return figure


def _panel(
    ax: Axes, lines: Sequence[MethodScores], task: str | None, reliability: Mapping[str, float]
) -> None:
    ax.axvline(0.0, color=INK, linewidth=0.8)
    if task is not None and (most := ceiling(reliability[task])):
        ax.axvline(most, color=INK, linewidth=0.8, linestyle=":")
    for y, line in enumerate(lines):
        one = line.mean if task is None else line.lds.get(task)
        if one:
            _draw(ax, y, one)
    ax.set_xlim(-1.02, 1.02)
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.set_title(task or MEAN, loc="left", color=INK)
    ax.set_xlabel("LDS (Spearman's rho)")
    ax.grid(axis="x", linewidth=0.6)
    ax.spines["left"].set_visible(False)


def _draw(ax: Axes, y: int, one: Prediction) -> None:
    """Draw a point and its 95 % interval."""
    better, worse = PALETTE[0], PALETTE[1]
    colour = (better if one.rho > 0 else worse) if one.significant else INK
    ax.plot([one.low, one.high], [y, y], "-", color=colour, linewidth=1.2)
    ax.plot(
        [one.rho], [y], "o", color=colour, markerfacecolor=colour if one.significant else FAINT, markersize=5
    )
