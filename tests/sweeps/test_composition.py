"""Laws of compositions in the report: the pool first, each share against its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.dataset.traits import Traits
from nait.stages.describe_pool import characterise, read_traits
from nait.store import Store
from nait.sweeps.analyses.composition import OTHERS, composition_table, departures, pool_traits
from nait.sweeps.analyses.overlap import distinct
from nait.sweeps.grouping.collect import collect
from nait.sweeps.reports.full_report import Report
from nait.sweeps.stored_runs.picks import Picks, read_picks
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import POOL, put


class Planted:
    """A describer that knows what each row is: its topic is its place's, one of `kinds`."""

    def __init__(self, kinds: int = 4) -> None:
        self.kinds = kinds

    def key(self) -> dict[str, int]:
        return {"kinds": self.kinds}

    def read(self, rows: Pool) -> Traits:
        place = np.arange(len(rows))
        labels = {
            "topic": np.array([f"t{k:02d}" for k in place % self.kinds]),
            "language": np.full(len(rows), "en"),
        }
        return Traits(rows.ids, labels, {"code": place % 2 == 0}, {"characters": place * 1.0})


def given(
    store: Store, kinds: int = 4, names: Sequence[str] = ("nait", "random")
) -> tuple[list[Picks], Traits]:
    """Selections of the fixtures' pool, and its traits."""
    rows = gather("p", [Example(f"row{k:03d}", (Turn("a", "b"),), row=k) for k in range(POOL)])
    link = {"traits": characterise(rows, Planted(kinds), store).address}
    for name in names:
        for seed in range(2):
            put(store, name, seed=seed, also=link)
    found = collect(RunSet.load(store))
    picks = distinct(read_picks(RunSet.load(store), found))
    traits = pool_traits(RunSet.load(store), found, picks)
    assert traits is not None
    return picks, traits


def test_the_table_begins_with_the_pool_and_says_the_share_and_its_lift(tmp_path: Path) -> None:
    picks, traits = given(Store(tmp_path))
    table = composition_table(picks, traits)
    pool, nait = table.body[0], dict(zip(table.header, table.body[1], strict=True))
    assert pool[:4] == ("the pool", str(POOL), "100", "50.0%")
    assert pool[4] == "t00 25.0%; t01 25.0%; t02 25.0%"
    shares = traits.composition(picks[0].first.chosen).shares["topic"]
    top = max(shares, key=lambda name: (shares[name], name == "t00"))
    assert nait["rows"] == "20"
    assert nait["topic"].startswith(f"{top} {shares[top]:.1%} ×{shares[top] / 0.25:.1f}")
    assert nait["language"] == "en 100.0% ×1.0"


def test_rows_and_shares_are_means_over_seeds_of_different_sizes(tmp_path: Path) -> None:
    """A budget of tokens selects other numbers of rows with each seed."""
    store = Store(tmp_path)
    rows = gather("p", [Example(f"row{k:03d}", (Turn("a", "b"),), row=k) for k in range(POOL)])
    traits = read_traits(characterise(rows, Planted(), store))
    for seed, count in enumerate((10, 40)):
        put(store, "random", seed=seed, rows=count)
    runs = RunSet.load(store)
    lines = read_picks(runs, collect(runs))
    seeds = {seed: one for line in lines for seed, one in line.by_seed.items()}
    picks = [replace(lines[0], by_seed=dict(sorted(seeds.items())))]
    table = composition_table(picks, traits)
    shown = dict(zip(table.header, table.body[1], strict=True))
    parts = [traits.composition(one.chosen) for one in picks[0].by_seed.values()]
    assert [one.rows for one in parts] == [10, 40]
    assert shown["rows"] == "25"
    assert shown["code"] == f"{np.mean([one.marks['code'] for one in parts]):.1%}"
    (grid,) = departures(picks, traits)
    share = np.mean([one.shares["topic"]["t00"] for one in parts])
    assert grid.values[0, 0] == pytest.approx(share - 0.25)


def test_departures_of_a_selection_add_up_to_nothing(tmp_path: Path) -> None:
    for kinds in (4, 30):
        picks, traits = given(Store(tmp_path / str(kinds)), kinds)
        (grid,) = departures(picks, traits)
        assert grid.values.shape == (len(picks), len(grid.columns))
        assert grid.values.sum(axis=1) == pytest.approx(0)
        assert (OTHERS in grid.columns[-1]) == (kinds > 12)


def test_bold_is_what_chance_does_not_do(tmp_path: Path) -> None:
    picks, traits = given(Store(tmp_path))
    chosen = picks[0].first.chosen
    told = np.where(np.isin(traits.ids, chosen), "mine", "other")
    (grid,) = departures(picks, Traits(traits.ids, {"topic": told}, {}, {}))
    lines = dict(zip(grid.rows, grid.strong, strict=True))
    assert lines["nait"].all()
    assert not lines["random"].any()


def test_traits_of_another_pool_are_not_taken(tmp_path: Path) -> None:
    store = Store(tmp_path)
    other = gather("p", [Example(f"x{k}", (Turn("a", "b"),), row=k) for k in range(9)])
    put(store, "nait", also={"traits": characterise(other, Planted(), store).address})
    found = collect(RunSet.load(store))
    assert pool_traits(RunSet.load(store), found, read_picks(RunSet.load(store), found)) is None


def test_the_report_shows_the_composition_where_a_run_looked(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait")
    Report().report(store, None, tmp_path)
    assert not (tmp_path / "composition.svg").exists()
    given(store)
    Report().report(store, None, tmp_path)
    assert (tmp_path / "composition.svg").is_file()
    assert "Composition of the selections" in (tmp_path / "report.html").read_text()
    assert r"$\times$" in (tmp_path / "tables.tex").read_text()
