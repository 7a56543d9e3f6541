"""Plots of score curves with confidence bands, and of score against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nait.sweeps.grouping.names import cut, fit
from nait.sweeps.plots.cost_spots import Spot
from nait.sweeps.plots.curves import Curve, Panel, number
from nait.sweeps.render.svg import INK, MARKERS, PALETTE, canvas, share_scale
from nait.sweeps.stats.paired import ITEMS_ONLY
from nait.sweeps.stored_runs.method_names import CONTROL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 14
"""The most points of a panel that have their names beside them."""
WIDE_RATIO = 8
"""An axis is logarithmic if its ends differ by at least this factor."""


def curve_plot(panels: Sequence[Panel]) -> Figure:
    """One panel per setting and benchmark, three per row, with one legend."""
    columns = min(3, len(panels))
    rows = -(-len(panels) // columns)
    names = list(dict.fromkeys(curve.name for panel in panels for curve in panel.curves))
    colours = {name: INK if name == CONTROL else PALETTE[k % len(PALETTE)] for k, name in enumerate(names)}
    figure, axes = canvas(max(5.0, 3.3 * columns), 2.6 * rows + 0.3 + 0.2 * (len(names) // 3), rows, columns)
    for ax, panel in zip(axes, panels, strict=False):
        for curve in panel.curves:
            _draw(ax, curve, colours[curve.name], MARKERS[names.index(curve.name) % len(MARKERS)])
        _x_axis(ax, [point.x for curve in panel.curves if not curve.level for point in curve.points])
        ax.set_xlabel(panel.x)
        ax.set_title(panel.title, loc="left", color=INK)
        ax.set_ylabel("score")
        ax.grid(axis="y", linewidth=0.6)
    share_scale(axes[: len(panels)], "y")
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    _legend(figure, axes)
    return figure


def _draw(ax: Axes, curve: Curve, colour: str, marker: str) -> None:
    style = "--" if curve.level or curve.name == CONTROL else "-"
    label = _label(curve.name, items_only=curve.items_only)
    if curve.level:
        level = curve.points[0]
        ax.axhline(level.y, color=colour, linestyle=style, linewidth=1.2, label=label)
        if level.half_width:
            ax.axhspan(*level.band, color=colour, alpha=0.1, linewidth=0)
        return
    xs, ys = [point.x for point in curve.points], [point.y for point in curve.points]
    ax.plot(xs, ys, style, color=colour, marker=marker, markersize=3.5, linewidth=1.4, label=label)
    lows, highs = zip(*(point.band for point in curve.points), strict=True)
    ax.fill_between(xs, lows, highs, color=colour, alpha=0.15, linewidth=0)


def _label(name: str, *, items_only: bool) -> str:
    """A legend entry, marked where the interval of a single seed is over items only."""
    return f"{name} ({ITEMS_ONLY})" if items_only else name


def cost_plot(found: Mapping[str, Sequence[Spot]]) -> Figure:
    """Score against seconds of selection and training; colours show methods, markers targets or budgets."""
    methods = list(dict.fromkeys(spot.method for spots in found.values() for spot in spots))
    wheres = sorted(
        {spot.where for spots in found.values() for spot in spots}, key=lambda name: (number(name) or 0, name)
    )
    count = len(found)
    lines = -(-(len(methods) + len(wheres)) // 3)
    figure, axes = canvas(max(6.0, 4.0 * count), 3.0 + 0.22 * lines, 1, count)
    for ax, (task, spots) in zip(axes, found.items(), strict=True):
        for spot in spots:
            colour = INK if spot.method == CONTROL else PALETTE[methods.index(spot.method) % len(PALETTE)]
            arms = None if spot.half_width is None else [[spot.y - spot.band[0]], [spot.band[1] - spot.y]]
            ax.errorbar(
                spot.seconds, spot.y, yerr=arms, fmt=_marker(spot.where, wheres),
                color=colour, markersize=5, linewidth=0.8, capsize=2, alpha=0.9,
            )  # fmt: skip
            if len(spots) <= MOST_NAMED:
                ax.annotate(
                    cut(spot.method, 24), (spot.seconds, spot.y), xytext=(5, 4), textcoords="offset points",
                    fontsize=7, color=colour,
                )  # fmt: skip
        _x_axis(ax, [spot.seconds for spot in spots], always=True)
        ax.set_xlabel("seconds to select and train")
        ax.set_ylabel("score")
        ax.set_title(task, loc="left", color=INK)
        ax.grid(linewidth=0.6)
    share_scale(axes, "y")
    for k, method in enumerate(methods):
        colour = INK if method == CONTROL else PALETTE[k % len(PALETTE)]
        single_seed = any(
            spot.items_only for spots in found.values() for spot in spots if spot.method == method
        )
        axes[0].plot([], [], "s", color=colour, markersize=6, label=_label(method, items_only=single_seed))
    for where in filter(None, wheres if len(wheres) <= len(MARKERS) else ()):
        axes[0].plot([], [], _marker(where, wheres), color=INK, markerfacecolor="none", label=where)
    _legend(figure, axes)
    return figure


def _marker(where: str, wheres: Sequence[str]) -> str:
    """The marker of a target or budget. All share one marker if there are too few markers."""
    return MARKERS[wheres.index(where)] if len(wheres) <= len(MARKERS) else MARKERS[0]


def _x_axis(ax: Axes, xs: Sequence[float], *, always: bool = False) -> None:
    """A logarithmic axis with plain numbers for a wide range, else a linear axis."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

    low, high = min(xs), max(xs)
    whole = all(float(x).is_integer() for x in xs)
    if low <= 0 or not (always or high / low >= WIDE_RATIO):
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        return
    ax.set_xscale("log")
    inside: list[float] = []
    for bases in ((1.0,), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)):
        steps = [base * 10.0**power for power in range(-4, 8) for base in bases]
        inside = [step for step in steps if low / 1.25 <= step <= high * 1.25]
        if len(inside) > 2:
            break
    ax.set_xlim(low / 1.25, high * 1.25)
    ax.xaxis.set_major_locator(FixedLocator(inside))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _legend(figure: Figure, axes: Sequence[Axes]) -> None:
    entries: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    names = fit(entries)
    longest = max((len(label) for label in names.values()), default=1)
    across = max(1, min(4, int(figure.get_figwidth() / (0.5 + 0.075 * longest))))
    look: dict[str, Any] = {"ncols": across, "fontsize": 8, "labelcolor": INK, "frameon": False}
    shown = [names[label] for label in entries]
    figure.legend(list(entries.values()), shown, loc="outside lower left", **look)
