"""Laws of the layers' parts in the report: in the pool's units, and a line adds up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nait.core.ranking.score_table import Contributions
from nait.store import Store
from nait.sweeps.analyses.layer_shifts import MOST_COLUMNS, layer_shifts
from nait.sweeps.grouping.collect import collect
from nait.sweeps.stored_runs.picks import Picks, read_picks
from nait.sweeps.stored_runs.run_set import RunSet

from .fixtures import put


def with_layers(one: Picks, layers: tuple[int, ...], *, more: float) -> Picks:
    """The selection as if each layer, the first `more` times, had brought an equal part of its scores."""
    (target,) = one.first.scores
    scores = one.first.scores[target]
    places = [one.first.ids.index(key) for key in one.first.chosen]
    weights = np.ones(len(layers))
    weights[0] = more
    weights /= weights.sum()
    part = Contributions(target, layers, scores[places, None] * weights, scores.mean() * weights)
    return replace(
        one, by_seed={seed: replace(chosen, layers=(part,)) for seed, chosen in one.by_seed.items()}
    )


def picks(tmp_path: Path, *names: str) -> list[Picks]:
    store = Store(tmp_path)
    for name in names:
        put(store, name)
    return read_picks(RunSet.load(store), collect(RunSet.load(store)))


def test_a_line_adds_up_to_the_shift_of_the_whole_score(tmp_path: Path) -> None:
    (one,) = picks(tmp_path, "nait")
    (grid,) = layer_shifts([with_layers(one, (1, 2, 4), more=2.0)])
    (scores,) = one.first.scores.values()
    chosen = np.isin(one.first.ids, one.first.chosen)
    shift = (scores[chosen].mean() - scores.mean()) / scores.std()
    assert grid.columns == ["1", "2", "4"]
    assert grid.values[0] == pytest.approx(np.array([0.5, 0.25, 0.25]) * shift)
    assert list(grid.rows) == [f"nait ({shift:+.2f})"]


def test_a_layer_that_a_method_does_not_use_is_empty(tmp_path: Path) -> None:
    one, other = picks(tmp_path, "nait", "less")
    (grid,) = layer_shifts([with_layers(one, (1, 2), more=1.0), with_layers(other, (2, 3), more=1.0)])
    assert np.isnan(grid.values).tolist() == [[False, False, True], [True, False, False]]


def test_the_control_has_no_line_because_its_runs_may_have_the_layers_of_several_methods(
    tmp_path: Path,
) -> None:
    one, control = picks(tmp_path, "nait", "random")
    lines = [with_layers(one, (1, 2), more=1.0), with_layers(control, (2,), more=1.0)]
    (grid,) = layer_shifts(lines)
    assert len(grid.rows) == 1
    assert grid.rows[0].startswith("nait ")


def test_each_layer_of_a_deep_model_is_in_one_of_several_maps(tmp_path: Path) -> None:
    (one,) = picks(tmp_path, "nait")
    deep = tuple(range(1, 81))
    grids = layer_shifts([with_layers(one, deep, more=1.0)])
    assert [int(name) for grid in grids for name in grid.columns] == list(deep)
    assert max(len(grid.columns) for grid in grids) <= MOST_COLUMNS


def test_methods_without_layers_have_no_map(tmp_path: Path) -> None:
    assert layer_shifts(picks(tmp_path, "random", "length")) == []
