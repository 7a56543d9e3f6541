"""The composition of selections compared to their pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np

from nait.core.dataset.traits import LANGUAGE, Composition, Traits, chance_spread
from nait.core.statistics.results import Row
from nait.sweeps.analyses.overlap import names
from nait.sweeps.render.report_document import Table
from nait.sweeps.render.svg import Grid
from nait.sweeps.stored_runs.picks import Picks
from nait.sweeps.stored_runs.run_set import RunSet

POOL, OTHERS = "the pool", "others"
MOST_VALUES = 12
"""Maximum number of label values shown; rarer values are merged."""
SHOWN = 3
STRONG = 3.0
"""Differences above this many standard deviations of a random selection are bold."""


def pool_traits(runs: RunSet, rows: Sequence[Row], picks: Sequence[Picks]) -> Traits | None:
    """The traits of the pool of these selections, if a run computed them."""
    wanted = {key for one in picks for chosen in one.by_seed.values() for key in chosen.chosen}
    seen: set[str] = set()
    for address in {row.run: None for row in rows if wanted}:
        run = runs.find("runs", address)
        link = str(run.manifest["links"].get("traits") or "") if run else ""
        traits = runs.traits(link) if link and link not in seen else None
        seen.add(link)
        if traits and wanted <= traits.places.keys():
            return traits
    return None


def composition_table(picks: Sequence[Picks], traits: Traits) -> Table:
    """One line per selection after the pool's: sizes, marks, and the most frequent values of each label."""
    pool = traits.composition()
    made = {POOL: pool, **_compositions(picks, traits)}
    body = [
        [
            name, one.rows,
            *(f"{value:.0f}" for value in one.means.values()),
            *(f"{value:.1%}" for value in one.marks.values()),
            *(_tops(label, one, pool) for label in one.shares),
        ]
        for name, one in made.items()
    ]  # fmt: skip
    header = ["selection", "rows", *pool.means, *pool.marks, *pool.shares]
    caption = (
        "Composition of the selections, means over seeds: rows, mean characters, share of rows with code, share of "
        "rows whose question or answer another row of the pool repeats, "
        "most frequent values (×: share relative to the pool)."
    )
    return Table.of("composition", header, body, caption=caption)


def departures(picks: Sequence[Picks], traits: Traits) -> list[Grid]:
    """For each label except language, the share of each value in each selection minus its share in the pool."""
    pool = traits.composition()
    made = _compositions(picks, traits)
    found = []
    for label, whole in pool.shares.items():
        if label == LANGUAGE:
            continue
        shares = _grouped(whole, whole)
        rows = [_grouped(one.shares[label], whole) for one in made.values()]
        values = np.array([[row[name] - share for name, share in shares.items()] for row in rows])
        spreads = np.array(
            [
                [chance_spread(share, one.rows, pool.rows) for share in shares.values()]
                for one in made.values()
            ]
        )
        strong = np.abs(values) > STRONG * spreads
        columns = [f"{name} ({share:.0%})" for name, share in shares.items()]
        title = f"{label}: share minus the pool's"
        found.append(
            Grid(
                title,
                list(made),
                columns,
                values,
                strong,
                np.zeros(values.shape, dtype=bool),
                axes=("selection", "trait (share in the pool)"),
                unit="difference of shares",
            )
        )
    return found


def _compositions(picks: Sequence[Picks], traits: Traits) -> dict[str, Composition]:
    """The composition of each selection, mean over its seeds."""
    found = [[traits.composition(one.chosen) for one in line.by_seed.values()] for line in picks]
    return {name: _mean(seeds) for name, seeds in zip(names(picks), found, strict=True)}


def _mean(found: Sequence[Composition]) -> Composition:
    """The mean of compositions of the same traits; each counts once, whatever its rows."""

    def mean(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
        return {name: fmean(part[name] for part in parts) for name in parts[0]}

    return Composition(
        rows=round(fmean(one.rows for one in found)),
        shares={label: mean([one.shares[label] for one in found]) for label in found[0].shares},
        marks=mean([one.marks for one in found]),
        means=mean([one.means for one in found]),
    )


def _grouped(shares: Mapping[str, float], whole: Mapping[str, float]) -> dict[str, float]:
    """The shares of the pool's most frequent values, with all other values merged."""
    if len(whole) <= MOST_VALUES:
        return {name: shares[name] for name in whole}
    kept = list(whole)[: MOST_VALUES - 1]
    return {name: shares[name] for name in kept} | {OTHERS: sum(shares[n] for n in whole if n not in kept)}


def _tops(label: str, one: Composition, pool: Composition) -> str:
    """The most frequent values of a label, each with its share and its ratio to the share in the pool."""
    shares = one.shares[label]
    top = sorted(shares, key=lambda name: -shares[name])[:SHOWN]
    lifts = {
        name: f" ×{shares[name] / pool.shares[label][name]:.1f}" if one is not pool else "" for name in top
    }
    return "; ".join(f"{name} {shares[name]:.1%}{lifts[name]}" for name in top if shares[name])
