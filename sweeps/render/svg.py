"""Figures as SVG, for a file (white background) and for an HTML page (the page's text colour).

Figures are independent: no pyplot state, no user style, unique element ids.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nait.sweeps.grouping.names import fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#0b0c0d", "#0b0c0e"
"""Placeholders for the page's text colour, at full strength and at 20 %."""
ON_WHITE = {INK: "#1b1f24", FAINT: "#d6dadf"}
PALETTE = ("#3b7dd8", "#d9622b", "#2f9e6e", "#a95cc4", "#c99a1a", "#c9426f", "#2aa3b8", "#7d8590")
MARKERS = "osD^vPX*"
MOST_RATIO = 5
"""Compared panels share a scale unless one range is more than this many times another."""
SETTINGS: Any = {
    "svg.fonttype": "path", "font.family": ["DejaVu Sans"], "font.size": 9, "text.color": INK, "axes.labelcolor": INK,
    "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK, "grid.color": FAINT, "axes.titlesize": 10,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "axes.spines.top": False,
    "axes.spines.right": False, "legend.frameon": False,
    "text.parse_math": False,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """A figure: its name, its SVG in placeholder colours, and a description."""

    name: str
    raw: str
    alt: str

    def named(self, name: str) -> Picture:
        """A copy with another name, which prefixes its element ids."""
        return Picture(name, self.raw.replace(_id(self.name), _id(name)), self.alt)

    @property
    def file(self) -> str:
        """The SVG file content, on white."""
        text = self.raw
        for placeholder, colour in ON_WHITE.items():
            text = text.replace(placeholder, colour)
        head, tag, rest = text.partition(">")
        return f'{head}{tag}<rect width="100%" height="100%" fill="#ffffff"/>{rest}'

    @property
    def inline(self) -> Any:
        """The SVG for inlining in HTML: text in the page's colour, without name spaces."""
        from markupsafe import Markup

        text = self.raw.replace(FAINT, "color-mix(in srgb, currentColor 20%, transparent)")
        text = re.sub(r' xmlns(:xlink)?="[^"]*"', "", text.replace(INK, "currentColor"))
        text = text.replace("xlink:href", "href").replace("<svg", '<svg role="img" aria-hidden="true"', 1)
        return Markup(text)  # noqa: S704  # generated here: text is drawn as outlines, comments are removed


def _id(name: str) -> str:
    """The prefix of a figure's element ids."""
    return f"{name}--"


def picture(name: str, figure: Figure, alt: str) -> Picture:
    """The figure as reproducible SVG, without date, metadata or interpreted text."""
    import matplotlib

    stream = io.StringIO()
    from matplotlib.text import Text

    for words in figure.findobj(Text):
        words.set_parse_math(False)  # a "$" in a name is a plain character
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": name}):
        figure.savefig(
            stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{_id(name)}', text)
    text = re.sub(r"url\(#", f"url(#{_id(name)}", text)
    text = re.sub(r'href="#', f'href="#{_id(name)}', text)
    return Picture(name, re.sub(r"\n\s*", "\n", text).strip(), alt)


def canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of this size in inches, and its axes row by row."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(dict(SETTINGS)):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


@dataclass(frozen=True)
class Grid:
    """The values of a heat map [R, C], NaN where missing; `strong` cells are bold, `framed` cells have a frame.

    `turned`: the numbers of the columns whose lower values are better; their colours are reversed.
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[str]
    values: npt.NDArray[np.float64]
    strong: npt.NDArray[np.bool_]
    framed: npt.NDArray[np.bool_]
    turned: frozenset[int] = frozenset()
    axes: tuple[str, str] = ("selection", "selection")
    """What the rows and the columns are."""
    unit: str = ""
    """What a value is, for the colour scale."""


def heat_maps(grids: Sequence[Grid], *, diverging: bool) -> Figure:
    """Heat maps, one below the other, on one scale: symmetric around 0 if `diverging`, else from 0 to 1."""
    grids = [replace(grid, rows=_fitted(grid.rows), columns=_fitted(grid.columns)) for grid in grids]
    columns = max(len(grid.columns) for grid in grids)
    longest = max(len(name) for grid in grids for name in grid.rows)
    width = 2.2 + 0.075 * longest + (0.85 if diverging else 0.6) * columns
    slanted = max(len(name) for grid in grids for name in grid.columns)
    heights = [0.34 * len(grid.rows) + 0.7 + 0.055 * slanted for grid in grids]
    figure, axes = canvas(width, sum(heights) + 0.15, len(grids))
    spec: Any = axes[0].get_gridspec()
    spec.set_height_ratios(heights)
    everything = np.concatenate([grid.values.ravel() for grid in grids])
    top = float(np.nanmax(np.abs(everything))) if np.isfinite(everything).any() else 1.0
    for ax, grid in zip(axes, grids, strict=True):
        _heat_map(ax, grid, top=(top or 1.0) if diverging else 1.0, diverging=diverging)
    _scale(figure, axes, grids[0].unit, top=(top or 1.0) if diverging else 1.0, diverging=diverging)
    return figure


def _scale(figure: Figure, axes: Sequence[Axes], unit: str, *, top: float, diverging: bool) -> None:
    """The colour scale of all heat maps of a figure, in few steps: matplotlib draws many steps as an image."""
    import matplotlib
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    colours = matplotlib.colormaps["RdBu" if diverging else "Blues"].resampled(32)
    ends = Normalize(-1.25 * top if diverging else 0.0, 1.25 * top)
    bar = figure.colorbar(ScalarMappable(ends, colours), ax=list(axes), label=unit, fraction=0.03, pad=0.01)
    bar.ax.set_ylim(-top if diverging else 0.0, top)
    bar.outline.set_visible(False)  # type: ignore[operator, unused-ignore]


def share_scale(axes: Sequence[Axes], axis: str) -> None:
    """Give compared panels one scale along `axis` ("x" or "y"), unless their ranges differ too much to be read."""
    limits = [ax.get_xlim() if axis == "x" else ax.get_ylim() for ax in axes]
    spans = [abs(high - low) for low, high in limits]
    if len(limits) < 2 or max(spans) > MOST_RATIO * min(spans):
        return
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    for ax in axes:
        (ax.set_xlim if axis == "x" else ax.set_ylim)(low, high)


def _fitted(names: Sequence[str]) -> list[str]:
    """The names as shown in the figure, in the same order."""
    short = fit(names)
    return [short[name] for name in names]


def _heat_map(ax: Axes, grid: Grid, *, top: float, diverging: bool) -> None:
    import matplotlib
    from matplotlib.patches import Rectangle

    colours = matplotlib.colormaps["RdBu" if diverging else "Blues"]
    signs = np.array([-1.0 if column in grid.turned else 1.0 for column in range(len(grid.columns))])
    shown = np.ma.masked_invalid(grid.values * signs)
    low = -top if diverging else 0.0
    edges = [np.arange(size + 1) - 0.5 for size in reversed(grid.values.shape)]
    ax.pcolormesh(
        *edges, shown, cmap=colours, vmin=low * 1.25, vmax=top * 1.25, edgecolors="face", linewidth=0.3
    )  # vector paths: an image would embed a PNG in the SVG
    ax.invert_yaxis()
    for row, column in np.ndindex(grid.values.shape):
        value = grid.values[row, column]
        if not np.isfinite(value):
            continue
        red, green, blue, _ = colours((value * signs[column] - low * 1.25) / (1.25 * (top - low)))
        dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.55
        text = f"{value:+z.3f}" if diverging else f"{value:z.2f}"
        ax.text(
            column, row, text, ha="center", va="center", fontsize=8, color="#ffffff" if dark else "#1b1f24",
            fontweight="bold" if grid.strong[row, column] else "normal",
            alpha=1.0 if grid.strong[row, column] or not diverging else 0.75,
        )  # fmt: skip
        if grid.framed[row, column]:
            place = (column - 0.47, row - 0.46)
            ax.add_patch(Rectangle(place, 0.94, 0.92, fill=False, edgecolor="#1b1f24", linewidth=1.4))
    ax.set_xticks(
        range(len(grid.columns)), list(grid.columns), rotation=30, ha="right", rotation_mode="anchor"
    )
    ax.set_yticks(range(len(grid.rows)), list(grid.rows))
    ax.set_ylabel(grid.axes[0])
    ax.set_xlabel(grid.axes[1])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(grid.title, loc="left", color=INK)
