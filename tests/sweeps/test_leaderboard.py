"""Laws of the leaderboard: traceable rows, honest intervals, and only seeds are averaged."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy import stats

from nait.core.errors import StoreError
from nait.core.results import Evaluation, Result, Row
from nait.stages.evaluations import write_evaluation
from nait.stages.report import record_run
from nait.store import Store
from nait.sweeps.collect import collect
from nait.sweeps.leaderboard import Leaderboard
from nait.sweeps.lines import summarise
from nait.sweeps.tables import notes


def put(store: Store, selector: str, seed: int, value: float, **settings: str) -> str:
    """A run in the store, without having run anything."""
    name = f"{selector}{seed}{value}{settings}"
    results = (
        Result("toy", "acc", value, 0.05, 100, is_group=True),
        Result("toy_part", "acc", value, 0.05, 100),
        Result("toy", "other", value, None, 100, primary=False),
    )

    def write(part: Path) -> dict[str, Any]:
        write_evaluation(part, Evaluation(results, ()))
        return {}

    evaluation = store.produce("evaluations", {"suite": {"requested": ["toy"]}, "name": name}, write)
    labels = {
        "selector": selector,
        "target": "math",
        "budget": "10%",
        "seed": seed,
        "model": "m",
        "pool": "p",
        "trained": True,
    }
    facts = {
        "selected_rows": 5,
        "answer_tokens": 50,
        "phase_seconds": {"select": 1.0},
        "device_hours": 0.1,
        "money": None,
        "settings": settings,
    }
    links = {"selection": "ab", "adapter": "cd", "evaluation": evaluation.address}
    return record_run(store, {**links, "name": name}, labels, facts).address


def test_runs_that_differ_in_the_seed_alone_are_one_line(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed, value in enumerate([0.2, 0.4, 0.6]):
        put(store, "nait", seed, value)
    (line,) = [line for line in summarise(collect(store)) if line.task == "toy"]
    assert line.seeds == 3
    assert line.value == pytest.approx(0.4)
    wanted = stats.t.interval(0.95, 2, loc=0.4, scale=stats.sem([0.2, 0.4, 0.6]))
    assert line.half_width == pytest.approx((wanted[1] - wanted[0]) / 2)


def test_runs_that_differ_in_more_are_kept_apart_and_named_by_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2, layers="all", site="mlp")
    put(store, "nait", 0, 0.3, layers="last", site="mlp")
    put(store, "random", 0, 0.3)
    names = {line.selector for line in summarise(collect(store))}
    assert names == {"nait layers=all", "nait layers=last", "random"}


def test_the_interval_is_never_narrower_than_the_items_allow(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for seed in range(3):
        put(store, "nait", seed, 0.5)
    (line,) = [line for line in summarise(collect(store)) if line.task == "toy"]
    assert line.half_width == pytest.approx(1.959964 * 0.05)


def test_a_share_of_zero_has_an_interval() -> None:
    row = Row(
        "nait", "t", "1%", 0, "m", "task", "acc", 0.0, 0.0, 4, True, 1, 1, 0, 0, 0, 0, None, "", "", "", ""
    )
    (line,) = summarise([row])
    assert line.half_width == pytest.approx(1.959964**2 / (4 + 1.959964**2))


def test_only_primary_metrics_are_rows_unless_asked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2)
    assert {row.metric for row in collect(store)} == {"acc"}
    assert {row.metric for row in collect(store, primary=False)} == {"acc", "other"}


def test_the_files_say_the_same_and_the_print_shows_what_was_asked_for(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    run = put(store, "nait", 0, 0.2)
    put(store, "random", 0, 0.9)
    out = tmp_path / "out"
    out.mkdir()
    text = Leaderboard().report(store, [run], out)
    assert "toy_part" not in text
    assert "random" not in text.split("No random control")[0]
    rows = json.loads((out / "leaderboard.json").read_text())
    assert {row["task"] for row in rows} == {"toy", "toy_part"}
    assert len((out / "leaderboard.csv").read_text().splitlines()) == 3
    assert "toy_part" in (out / "leaderboard.md").read_text()


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, "nait", 0, 0.2)
    rows = [replace(row, missing="bbh_snarks") for row in collect(store)]
    said = " ".join(notes(summarise(rows)))
    for word in ("No random control", "Fewer than three seeds", "lacks bbh_snarks"):
        assert word in said


def test_a_run_that_is_gone_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no run"):
        collect(Store(tmp_path), ["ab" * 16])


def test_missing_standard_errors_do_not_hide_the_value() -> None:
    row = Row(
        "nait",
        "t",
        "1%",
        0,
        "m",
        "task",
        "acc",
        0.5,
        math.nan,
        4,
        True,
        1,
        1,
        0,
        0,
        0,
        0,
        None,
        "",
        "",
        "",
        "",
    )
    (line,) = summarise([row])
    assert line.half_width is None
    assert line.value == 0.5
