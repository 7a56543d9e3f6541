"""The sections of the report as tables, figures and notes. A section without data has no blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from nait.core.dataset.traits import Traits
from nait.core.statistics.results import Row
from nait.sweeps.analyses.claims import Claim, claims
from nait.sweeps.analyses.composition import composition_table, departures
from nait.sweeps.analyses.layer_shifts import layer_shifts
from nait.sweeps.analyses.overlap import (
    MOST,
    Core,
    cores,
    correlations,
    distinct,
    lengths,
    names,
    overlaps,
    setting_agreement,
)
from nait.sweeps.analyses.transfer import Matrix, grid
from nait.sweeps.grouping.names import legend
from nait.sweeps.plots.cost_spots import costs as spots_of
from nait.sweeps.plots.curve_plots import cost_plot, curve_plot
from nait.sweeps.plots.curves import left_out, panels
from nait.sweeps.plots.forest import forest, forest_plot
from nait.sweeps.render.column_words import column_words
from nait.sweeps.render.leaderboard_tables import count, difference_cells, number, seconds, wide_cells
from nait.sweeps.render.report_document import Block, Notes, Table
from nait.sweeps.render.svg import Grid, heat_maps, picture
from nait.sweeps.render.table_notes import how_tested
from nait.sweeps.reports.leaderboard import Measured
from nait.sweeps.stats.aggregates import Line
from nait.sweeps.stats.contrasts import Items
from nait.sweeps.stats.paired import ITEMS_ONLY
from nait.sweeps.stats.target_benchmarks import Benchmarks
from nait.sweeps.stored_runs.picks import Picks

MOST_MATRICES = 6
UNSEEDED = "does not depend on the seed"
SHOWN, SHOWN_ALONE = 5, 2
"""Number of example rows of a core subset, and of the rows chosen for a single target."""


def overview(found: Sequence[Measured]) -> tuple[Block, ...]:
    """The tables of the report and their conditions."""
    body = [
        [one.sheet.number, head.model, head.pool, head.recipe, head.evaluation or "none", lines]
        for one in found
        for head in [one.sheet.head]
        for lines in [len({(row.selector, row.target, row.budget) for row in one.rows})]
    ]
    note = (
        "Runs of different models, pools, recipes or evaluations are not compared: each table has its own control, "
        "ranks and figures. The columns show the settings in which the tables differ."
    )
    header = ["table", "model", "pool", "recipe", "evaluation", "lines"]
    return (Notes((note,)), Table.of("tables", header, body, caption="The tables of this report."))


def leaderboard(lines: Sequence[Line], notes: Sequence[str], benchmarks: Benchmarks) -> tuple[Block, ...]:
    """The leaderboard table and its notes."""
    header, body = wide_cells(lines, benchmarks)
    return (Table.of("leaderboard", header, body), Notes((*notes, *column_words(header))))


def compared(lines: Sequence[Line], control: str, benchmarks: Benchmarks) -> tuple[Block, ...]:
    """Each line minus the control, as a forest plot and a table."""
    header, body = difference_cells(lines, control=control, benchmarks=benchmarks)
    caption = f"Score minus {control}, paired by item and seed, 95 % interval; {how_tested(lines, control)}."
    table = Table.of("differences", header, body, caption=caption)
    found = forest(lines, benchmarks)
    if found is None:
        return (table,)
    alt = f"Score minus {control} with 95 % intervals, best first; filled: significant. {how_tested(lines, control)}."
    if found.left_out:
        alt += f" The best {len(found.names)} of {len(found.names) + found.left_out} lines."
    return (picture("forest", forest_plot(found, control), alt), *_legend(found.names), table)


def costs(lines: Sequence[Line], amortised: Table, benchmarks: Benchmarks) -> tuple[Block, ...]:
    """The cost of each phase, a plot of quality against cost, and the cost with shared passes counted once."""
    header = ["selector", "target", "budget", "rows", "answer tokens", "select s", "train s", "evaluate s",
              "device h", "money"]  # fmt: skip
    seen: dict[tuple[str, str, str, str], Line] = {}
    for line in lines:
        seen.setdefault((line.model, line.selector, line.target, line.budget), line)
    body = [
        [one.selector, one.target, one.budget, count(one.selected_rows), count(one.answer_tokens),
         seconds(one.seconds_select),
         seconds(one.seconds_train), seconds(one.seconds_evaluate), f"{one.device_hours:.3f}",
         "" if one.money is None else f"{one.money:.2f} {one.currency}".strip()]
        for one in seen.values()
    ]  # fmt: skip
    caption = (
        "Means over seeds. Answers count up to max_length. Select: from scratch, without passes shared with other "
        "methods. Money: empty if a run has no price, or runs have prices in different currencies."
    )
    blocks: list[Block] = [Table.of("costs", header, body, caption=caption), amortised]
    found = spots_of(lines, benchmarks)
    if found:
        alt = "Score against seconds of selection and training, with 95 % intervals."
        spots = [name for spots in found.values() for spot in spots for name in (spot.method, spot.where)]
        blocks[:0] = [picture("cost", cost_plot(found), alt), *_legend(spots)]
    return tuple(blocks)


def _legend(names: Iterable[str]) -> tuple[Notes, ...]:
    """A list of the names that a figure shortens, each in full."""
    entries = legend(names)
    return (Notes(entries),) if entries else ()


def _notes(texts: Sequence[str]) -> tuple[Notes, ...]:
    return (Notes(tuple(texts)),) if texts else ()


def _maps(name: str, grids: Sequence[Grid], alt: str, *, diverging: bool = True) -> tuple[Block, ...]:
    """Heat maps in one figure, and the full form of each shortened name."""
    shown = picture(name, heat_maps(grids, diverging=diverging), alt)
    return (shown, *_legend(one for grid in grids for one in (*grid.rows, *grid.columns)))


def varied(lines: Sequence[Line], benchmarks: Benchmarks) -> tuple[Block, ...]:
    """Score curves over the settings that vary."""
    found = panels(lines, benchmarks)
    if not found:
        return ()
    what = ", ".join(dict.fromkeys(panel.x for panel in found))
    return (
        picture("curves", curve_plot(found), f"Scores against {what}; bands: 95 % intervals of the scores."),
        *_legend([curve.name for panel in found for curve in panel.curves]),
        *_notes(left_out(lines, found)),
    )


def transferred(
    found: Sequence[Matrix], rows: Sequence[Row], items: Items, *, reasoning: Sequence[str], control: str
) -> tuple[Block, ...]:
    """The transfer matrices as heat maps, and each claim with its verdict."""
    if not found:
        return ()
    alt = (
        f"Score minus {control} by the target that selected (rows) and the benchmark (columns); bold: significant, "
        "as in the table of differences; framed: the target's own benchmark."
    )
    more = len(found) > MOST_MATRICES
    blocks: list[Block] = [
        *_maps("transfer", [grid(one) for one in found[:MOST_MATRICES]], alt),
        *_notes([f"{len(found) - MOST_MATRICES} more matrices are in transfer.csv."] if more else []),
    ]
    body = [
        [
            one.title,
            claim.text + (f" ({claim.about})" if claim.about else ""),
            claim.verdict,
            *_numbers(claim),
        ]
        for one, claim in claims(found, rows, items, reasoning=reasoning, control=control)
    ]
    header = ["selector", "claim", "verdict", "difference", "p (Holm)"]
    caption = (
        "The paper's claims (arXiv 2603.13201), tested on these runs. Each claim is a mean over several differences; "
        "Holm's correction treats the claims as one family. The matrix has the verdicts of the leaderboard."
    )
    units = _units(found, rows)
    return (*blocks, Table.of("claims", header, body, caption=f"{caption}{units and ' '}{units}"))


def _units(found: Sequence[Matrix], rows: Sequence[Row]) -> str:
    """A sentence on benchmarks with scores beyond 0 and 1, which the claims average with others; else empty."""
    tasks = {task for one in found for task in one.tasks}
    beyond = {
        f"{row.task} ({row.metric})" for row in rows if row.task in tasks and not 0 <= (row.value or 0) <= 1
    }
    if not beyond or len(tasks) < 2:
        return ""
    return f"The means are over benchmarks of different units: {', '.join(sorted(beyond))}, and others."


def _numbers(claim: Claim) -> tuple[str, str]:
    one = claim.found
    shown = (
        f"{number(one.value, signed=True)} [{number(one.low, signed=True)}, {number(one.high, signed=True)}]"
    )
    if not one.tested:
        return f"{shown} {ITEMS_ONLY}", ""
    return shown, small(one.p if one.adjusted is None else one.adjusted)


def small(p: float) -> str:
    """A p-value with four decimals; its order of magnitude below 0.00005."""
    return f"{p:.4f}" if p >= 0.00005 else f"{p:.0e}"


def selected(picks: Sequence[Picks], traits: Traits | None) -> tuple[Block, ...]:
    """Overlap, correlation, core subsets, composition, layers, lengths and stability of selections."""
    lines = distinct(picks)
    if not lines:
        return ()
    blocks: list[Block] = []
    drawn = lines[:MOST]
    if len(drawn) < len(lines):
        kept = f"the first {MOST} of {len(lines)} selections"
        blocks += _notes([f"Figures and correlations have {kept}; the other tables have all."])
    overlap = overlaps(drawn)
    if overlap:
        alt = (
            "Jaccard index between selections, mean over seeds. The diagonal compares the seeds of one line, where "
            "they change the selection."
        )
        blocks += _maps("overlap", [overlap], alt, diverging=False)
    ranks = correlations(drawn)
    if ranks:
        blocks.append(_grid_table("correlations", ranks))
    for k, core in enumerate(cores(lines)):
        blocks += _core(k, core)
    if traits:
        alt = (
            "Share in each selection minus the share in the pool (in brackets), mean over seeds. Bold: a difference "
            "of more than three standard deviations of a random selection of the same size."
        )
        blocks.append(composition_table(lines, traits))
        blocks += _maps("composition", departures(drawn, traits), alt)
    layers = layer_shifts(drawn)
    if layers:
        alt = (
            "Each layer's mean contribution to the scores of the selected rows minus its mean over the pool, in "
            "standard deviations of the pool's scores; mean over seeds. Each line adds up to the number in brackets."
        )
        blocks += _maps("layers", layers, alt)
    blocks += _examples(lines)
    body = [[name, rows, *(f"{value:.1f}" for value in numbers)] for name, rows, *numbers in lengths(lines)]
    blocks.append(
        Table.of(
            "lengths", ["selection", "rows", "mean", "25 %", "median", "75 %"], body,
            caption="Answer tokens of the selected rows, and of the pool's rows with an answer within max_length, "
            "each answer cut there; means over seeds.",
        )
    )  # fmt: skip
    stable = [
        [name, len(one.by_seed), UNSEEDED if one.stability is None else f"{one.stability:.2f}"]
        for name, one in zip(names(lines), lines, strict=True)
        if len(one.by_seed) > 1
    ]
    caption = (
        "Stability: the mean Jaccard index between a method's selections of different seeds. A selection that does "
        "not depend on the seed has none."
    )
    blocks.append(Table.of("stability", ["selection", "seeds", "stability"], stable, caption=caption))
    settings = [[name, keys, count, f"{value:.2f}"] for name, keys, count, value in setting_agreement(lines)]
    caption = "The mean Jaccard index between a method's settings, seed by seed."
    header = ["selection", "settings", "values", "stability"]
    blocks.append(Table.of("settings", header, settings, caption=caption))
    return tuple(blocks)


def _examples(lines: Sequence[Picks]) -> list[Block]:
    """Rows at the top, middle and bottom of the ranking, where the report is about one selection."""
    if len(lines) != 1:
        return []
    chosen = lines[0].first
    column = next(iter(chosen.scores), None)
    scores = dict(zip(chosen.ids, chosen.scores[column].tolist(), strict=True)) if column else {}
    body = [
        [one.place, one.rank, f"{scores[one.id]:z.4g}" if one.id in scores else "", one.id, one.text]
        for one in chosen.examples
    ]
    named = f" Score: {column}." if len(chosen.scores) > 1 else ""
    caption = f"Rows at the top, the middle and the bottom of the ranking.{named}"
    return [Table.of("examples", ["place", "rank", "score", "id", "row"], body, caption=caption)]


def _grid_table(name: str, found: Grid) -> Table:
    body = [
        [row, *(f"{value:+z.2f}" for value in values)]
        for row, values in zip(found.rows, found.values, strict=True)
    ]
    return Table.of(name, ["", *found.columns], body, caption=f"{found.title}.")


def _core(k: int, core: Core) -> list[Block]:
    """The number of rows that most targets share, and examples."""
    at = "" if core.seed is None else f", seed {core.seed}"
    sizes = ", ".join(f"{target} {len(ids)}" for target, ids in core.specific.items())
    note = (
        f"{core.selector}, {core.budget}{at}: {len(core.core)} rows are chosen for more than half of the "
        f"{core.targets} targets. Chosen for a single target: {sizes}."
    )
    shown = [("core", key) for key in core.core[:SHOWN]]
    shown += [(f"only {target}", key) for target, ids in core.specific.items() for key in ids[:SHOWN_ALONE]]
    body = [[where, key, core.texts.get(key, "")] for where, key in shown]
    header = ["chosen for", "id", "row"]
    return [Notes((note,)), Table.of(f"core-{k}", header, body, caption="Examples of these rows.")]
