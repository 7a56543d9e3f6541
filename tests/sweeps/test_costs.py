"""Laws of the costs: a line is the sum of the artifacts it rests on, each counted once."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nait.baselines.rds import Rds
from nait.core.ranking.budgets import Ratio
from nait.core.ranking.orders import Highest
from nait.models.prompts.templates import TextTemplate
from nait.nano.pools import nano_model, nano_pool, nano_targets
from nait.neurons.scorer import Nait
from nait.signals.extractor import StoredExtractor
from nait.signals.passes.options import Engine
from nait.stages.report import record_run
from nait.stages.select import Selector, select
from nait.store import Artifact, Store
from nait.sweeps.__main__ import main
from nait.sweeps.analyses.cost_table import Costs, read_costs
from nait.sweeps.grouping.collect import collect
from nait.sweeps.reports.full_report import Report
from nait.sweeps.stats.aggregates import summarise
from nait.sweeps.stored_runs.cost_ledger import ALL, Spending, spendings
from nait.sweeps.stored_runs.run_set import RunSet
from nait.sweeps.stored_runs.stores import Stores
from tests.older_stores import without_checksums

from .fixtures import put

SECONDS = {"embed": 100.0, "activate": 60.0, "encode": 10.0}


def artifact(store: Store, kind: str, name: str, **facts: Any) -> Artifact:
    return store.produce(kind, {"name": name}, lambda _: facts)


def run(
    store: Store, selector: str, target: str, seed: int, own: float, parts: Sequence[str], **facts: Any
) -> None:
    """A run whose scores were made of these passes and took `own` seconds beside them; training took 20."""
    made = [
        artifact(store, "passes", name, seconds=SECONDS[name], energy_wh=1.0, energy_of=["a GPU"])
        for name in parts
    ]
    scores = artifact(
        store, "scores", f"{selector} {target}", made_of=[[one.kind, one.address] for one in made],
        length_correlation={}, diagnostics={},
    )  # fmt: skip
    select = own + sum(SECONDS[name] for name in parts)
    phases = {"select": select, "train": 20.0}
    adapter = artifact(store, "adapters", f"{selector} {target} {seed}")
    labels = {
        "selector": selector, "target": target, "budget": "10%", "seed": seed, "model": "m", "pool": "p",
        "trained": True,
    }  # fmt: skip
    known: dict[str, Any] = {
        "phase_seconds": phases, "phase_energy_wh": {"select": len(parts) + 0.5, "train": 2.0},
        "device_hours": 2 * sum(phases.values()) / 3600, "money": 10 * sum(phases.values()) / 3600, "currency": "EUR",
        "selected_rows": 1, "answer_tokens": 1, "settings": {},
    }  # fmt: skip
    record_run(store, {"scores": scores.address, "adapter": adapter.address}, labels, {**known, **facts})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two methods, two targets, two seeds: their scores know no seed, and both read the rows' tokens."""
    made = Store(tmp_path / "store")
    for seed in (0, 1):
        for target, own in (("math", 1.0), ("code", 3.0)):
            run(made, "rds", target, seed, own, ["embed", "encode"])
            run(made, "nait", target, seed, own, ["activate", "encode"])
    return made


def by_name(store: Store) -> Mapping[str, Spending]:
    return {
        one.name[0]: one for one in spendings(read_costs(RunSet.load(store), collect(RunSet.load(store))))
    }


def test_a_line_is_the_sum_of_its_artifacts_each_once(store: Store) -> None:
    rds = by_name(store)["rds"]
    assert (rds.targets, rds.seeds, rds.runs) == (2, 2, 4)
    assert rds.single == pytest.approx((111 + 113) / 2)
    assert rds.shared == pytest.approx(100 + 10 + 1 + 3)
    assert rds.per_target == pytest.approx(57)
    assert (rds.train, rds.evaluate) == (20.0, None)
    seconds = 114 + 4 * 20
    assert rds.device_hours == pytest.approx(2 * seconds / 3600)
    assert rds.money == pytest.approx(10 * seconds / 3600)
    assert rds.energy_wh == pytest.approx(2 * 1.0 + 2 * 0.5 + 4 * 2.0)


def test_all_methods_together_share_what_several_read(store: Store) -> None:
    found = by_name(store)
    both = found[ALL]
    assert both.shared == pytest.approx(100 + 60 + 10 + 2 * (1 + 3))
    assert both.shared == pytest.approx(found["rds"].shared + found["nait"].shared - 10)
    assert both.runs == 8


def test_all_methods_together_are_sums(store: Store) -> None:
    """An adapter that two runs reached counts once; `single` adds up all score tables."""
    found = by_name(store)
    both = found[ALL]
    assert both.single == pytest.approx(2 * (found["rds"].single + found["nait"].single))
    assert both.train == pytest.approx(8 * 20.0)
    assert both.evaluate == 0.0


def test_the_line_of_all_is_last_and_the_cheapest_first(store: Store) -> None:
    assert list(by_name(store)) == ["nait", "rds", ALL]


def test_a_part_that_has_gone_stays_in_what_the_scores_took(store: Store) -> None:
    before = by_name(store)["rds"]
    for one in store.artifacts("passes"):
        (one.path / "manifest.json").unlink()
    after = by_name(store)["rds"]
    assert after.single == before.single
    assert after.shared == pytest.approx(111 + 113)


def test_energy_and_money_are_blank_where_one_run_does_not_know_them(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run(store, "rds", "math", 0, 1.0, ["embed"])
    run(store, "rds", "code", 0, 1.0, ["embed"], phase_energy_wh={}, money=None)
    rds = by_name(store)["rds"]
    assert (rds.energy_wh, rds.money, rds.currency) == (None, None, "")
    assert rds.device_hours > 0


def test_prices_in_two_currencies_have_no_sum(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run(store, "rds", "math", 0, 1.0, ["embed"])
    run(store, "nait", "math", 0, 1.0, ["embed"], currency="USD")
    found = by_name(store)
    assert found["rds"].money is not None
    assert found[ALL].money is None
    rows = collect(RunSet.load(store))
    assert {(row.selector, row.currency) for row in rows} == {("rds", "EUR"), ("nait", "USD")}


def test_each_artifact_is_charged_at_the_price_and_devices_of_its_run(tmp_path: Path) -> None:
    """Two runs share a pass on a cheap device; a third method ran on eight expensive ones."""
    store = Store(tmp_path)
    run(store, "rds", "math", 0, 0.0, ["embed"], device_hours=120 / 3600, money=120.0)
    run(store, "rds", "code", 0, 0.0, ["embed"], device_hours=120 / 3600, money=120.0)
    run(store, "nait", "math", 0, 0.0, ["activate"], device_hours=8 * 80 / 3600, money=800.0)
    found = by_name(store)
    assert found["rds"].money == pytest.approx(100 + 2 * 20)
    assert found[ALL].money == pytest.approx(100 + 2 * 20 + 800)
    assert found[ALL].device_hours == pytest.approx((100 + 2 * 20 + 8 * 80) / 3600)


def test_a_bill_for_scores_counts_once_and_only_for_the_runs_that_use_them(tmp_path: Path) -> None:
    """Three seeds of one score table with a bill of 50; a control over the same scores has none of it."""
    store, price = Store(tmp_path), 10 / 3600
    for seed in range(3):
        stated = {"stated_cost": {"money": 50.0}, "money": 50 + 20 * price, "device_hours": 20 / 3600}
        run(store, "judge", "math", seed, 0.0, [], **stated)
        run(store, "shuffled", "math", seed, 0.0, [], **stated, settings={"order": "Shuffled"})
    found = by_name(store)
    assert found["judge"].money == pytest.approx(50 + 3 * 20 * price)
    assert found["random"].money == pytest.approx(3 * 20 * price)
    assert found[ALL].money == pytest.approx(50 + 6 * 20 * price)
    money = {row.selector: row.money for row in collect(RunSet.load(store))}
    assert money == pytest.approx({"judge": 50 + 20 * price, "random": 20 * price})


def test_a_phase_is_charged_at_its_own_number_of_devices(tmp_path: Path) -> None:
    """Scores of 60 s on four devices, which two trainings of 20 s on one device share."""
    store = Store(tmp_path)
    hours = {"select": 4 * 60 / 3600, "train": 20 / 3600}
    total, priced = sum(hours.values()), {"phase_device_hours": hours, "money": 260.0}
    for seed in range(2):
        run(store, "nait", "math", seed, 0.0, ["activate"], device_hours=total, **priced)
    run(
        store,
        "rds",
        "math",
        0,
        0.0,
        ["activate"],
        device_hours=total,
        **priced,
        settings={"order": "Shuffled"},
    )
    found = by_name(store)
    assert found["nait"].device_hours == pytest.approx((4 * 60 + 2 * 20) / 3600)
    assert found["nait"].money == pytest.approx(4 * 60 + 2 * 20)
    assert found["random"].device_hours == pytest.approx(20 / 3600)
    (row,) = [row for row in collect(RunSet.load(store)) if row.selector == "random"]
    assert (row.device_hours, row.money) == pytest.approx((20 / 3600, 20.0))


def test_a_control_without_training_costs_exactly_nothing(tmp_path: Path) -> None:
    """The recorded total differs from the phase of selection by a rounding error."""
    store, hours = Store(tmp_path), {"select": 0.1 + 0.2}
    facts = {
        "device_hours": 0.3,
        "money": 0.3,
        "phase_device_hours": hours,
        "settings": {"order": "Shuffled"},
    }
    run(store, "nait", "math", 0, 0.0, ["activate"], **facts)
    (row,) = collect(RunSet.load(store))
    assert (str(row.device_hours), row.money) == ("0.0", 0.0)


def test_the_seeds_of_all_methods_are_those_of_a_method(tmp_path: Path) -> None:
    """Of a sweep in which only the untrained model has two seeds, of one result."""
    store = Store(tmp_path)
    for seed in range(2):
        put(store, "base", seed=seed, trained=False)
    put(store, "nait")
    assert by_name(store)[ALL].seeds == 1


def test_scores_that_a_shuffled_order_ignored_are_nobodys_cost(tmp_path: Path) -> None:
    store = Store(tmp_path)
    run(store, "rds", "math", 0, 1.0, ["embed"], settings={"order": "Shuffled"})
    assert by_name(store)["random"].shared == 0.0


def test_the_command_prints_the_table_and_leaves_it(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    monkeypatch.setattr(sys, "argv", ["nait-leaderboard", str(store.root), "--costs", "--out", str(out)])
    monkeypatch.setenv("COLUMNS", "300")
    main()
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("rds ")]
    numbers = ["2", "2", "4", "112.0", "114.0", "57.0", "20.0", "0.1078", "11.00", "0.54", "EUR"]
    assert line.split()[-11:] == numbers
    assert "a GPU" in said
    assert ALL in (out / "costs.md").read_text()


def test_the_report_has_the_same_table(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    put(store, "nait", share=0.6)
    put(store, "random", share=0.3)
    (tmp_path / "out").mkdir()
    Report().report(store, None, tmp_path / "out")
    text = (tmp_path / "out" / "report.md").read_text()
    assert ALL in text
    Costs().report(store, None, tmp_path)
    wanted = [
        line.replace(" ", "") for line in (tmp_path / "costs.md").read_text().splitlines() if ALL in line
    ]
    assert wanted[0] in text.replace(" ", "")


def test_a_shared_pass_costs_each_method_what_it_would_alone(tmp_path: Path) -> None:
    """A pass of 100 s for two methods: 50 s forward, 40 s for the one's measurements, 10 s for the other's."""
    store = Store(tmp_path)
    meters = [{"signals": [0], "seconds": 40.0}, {"signals": [1, 2], "seconds": 10.0}]
    both = artifact(store, "passes", "both", seconds=100.0, energy_wh=10.0, meters=meters)
    for selector, signals, alone in (("perplexity", [0], 90.0), ("nait", [2], 60.0)):
        scores = artifact(
            store, "scores", selector, made_of=[["passes", both.address, signals]], length_correlation={},
            diagnostics={},
        )  # fmt: skip
        labels = {"selector": selector, "target": "math", "budget": "10%", "seed": 0, "model": "m", "pool": "p",
                  "trained": True}  # fmt: skip
        facts = {"phase_seconds": {"select": alone + 1}, "phase_energy_wh": {"select": alone / 10}, "money": None,
                 "device_hours": (alone + 1) / 3600, "selected_rows": 1, "answer_tokens": 1}  # fmt: skip
        record_run(store, {"scores": scores.address}, labels, facts)
    found = by_name(store)
    assert [found[name].single for name in ("perplexity", "nait")] == pytest.approx([91.0, 61.0])
    assert [found[name].energy_wh for name in ("perplexity", "nait")] == pytest.approx([9.0, 6.0])
    assert found[ALL].shared == pytest.approx(100 + 1 + 1)


def test_methods_that_ran_for_two_targets_took_less_together_than_alone(tmp_path: Path) -> None:
    store, template, rows = (
        Store(tmp_path),
        TextTemplate(prompt="{user} "),
        nano_pool(200),
    )
    for target in nano_targets(["math", "code"]):
        for name, scorer in {"nait": Nait(), "rds": Rds(reduce="max")}.items():
            extractor = StoredExtractor(nano_model(), store, template, engine=Engine(progress=False))
            selector = Selector(scorer, Highest(), Ratio(0.1), {"selector": name, "order": "", "budget": ""})
            _, _, scores = select(rows, [target], selector, extractor, store)
            labels = {
                "selector": name, "target": target.name, "budget": "10%", "seed": 0, "model": "m", "pool": "p",
                "trained": True,
            }  # fmt: skip
            facts = {
                "phase_seconds": {"select": scores.manifest["seconds_from_nothing"]}, "device_hours": 0.0,
                "money": None, "selected_rows": 30, "answer_tokens": 30,
            }  # fmt: skip
            record_run(store, {"scores": scores.address}, labels, facts)
    found = by_name(store)
    for name in ("nait", "rds"):
        assert 0 < found[name].shared < 2 * found[name].single
    assert found[ALL].shared < found["nait"].shared + found["rds"].shared
    kinds = {
        kind
        for run in read_costs(RunSet.load(store), collect(RunSet.load(store)))
        for kind, _ in run.selecting
    }
    assert {"scores", "passes", "encodings"} <= kinds


def test_each_run_costs_what_its_own_store_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick, slow = Store(tmp_path / "quick"), Store(tmp_path / "slow")
    run(quick, "rds", "math", 0, 1.0, ["embed"])
    with monkeypatch.context() as patch:
        patch.setitem(SECONDS, "embed", 300.0)  # the same pass on another machine
        run(slow, "rds", "math", 1, 1.0, ["embed"])
    for stores in ([quick, slow], [slow, quick]):
        both = RunSet.load(Stores(stores))
        costs = read_costs(both, collect(both))
        taken = {one.row.seed: sum(part.seconds for part in one.selecting.values()) for one in costs}
        assert taken == {0: 101.0, 1: 301.0}


def test_an_artifact_of_two_stores_has_one_cost_and_no_total_is_below_a_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick, slow = Store(tmp_path / "quick"), Store(tmp_path / "slow")
    run(quick, "nait", "math", 0, 1.0, ["embed"])
    run(quick, "rds", "math", 0, 1.0, ["embed"])
    with monkeypatch.context() as patch:
        patch.setitem(SECONDS, "embed", 300.0)  # the same pass on another machine
        run(slow, "nait", "math", 1, 1.0, ["embed"])
    for stores in ([quick, slow], [slow, quick]):
        both = RunSet.load(Stores(stores))
        found = {one.name[0]: one for one in spendings(read_costs(both, collect(both)))}
        whole = found.pop(ALL)
        assert {name: one.shared for name, one in found.items()} == {"nait": 301.0, "rds": 301.0}
        assert whole.shared == 302.0
        assert all(one.single == 301.0 for one in found.values())


def test_a_run_recorded_again_under_another_price_costs_what_the_later_one_says(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for hour, price in (("01", 36.0), ("02", 72.0)):
        cost = {"devices": 1, "price_per_device_hour": price, "currency": "USD"}
        address = put(store, "nait", facts={"money": 0.1 * price, "currency": "USD", "cost": cost})
        without_checksums(tmp_path / "runs" / address, created=f"2026-01-01T{hour}:00:00+00:00")
    assert len(store.artifacts("runs")) == 2
    (line,) = [one for one in summarise(collect(RunSet.load(store)), {}) if one.headline][:1]
    assert line.money == pytest.approx(7.2)


def test_a_run_without_a_price_hides_none_that_another_record_has(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cost = {"devices": 1, "price_per_device_hour": 36.0, "currency": "USD"}
    put(store, "nait", facts={"money": 3.6, "currency": "USD", "cost": cost})
    put(store, "nait")
    lines = summarise(collect(RunSet.load(store)), {})
    assert [line.money for line in lines] == pytest.approx([3.6] * len(lines))
