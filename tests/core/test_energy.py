"""Laws of the meter: what the devices tell is added up, a counter's turn too; what they do not tell is None."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nait.core.estimates.costs import Cost, cost_from_empty_store
from nait.runs.processes.launch import without_launcher
from nait.runs.records.phases import PhaseRecord
from nait.runs.records.run_facts import spent
from nait.signals.lineage import Lineage
from nait.store import Artifact, Store, energy
from nait.store.energy import Counter, Gauge, devices, packages


def test_device_hours_count_every_process_unless_the_devices_are_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    monkeypatch.setenv("WORLD_SIZE", "4")
    shared = store.produce("passes", {"of": "four"}, lambda part: {})
    with without_launcher(), without_launcher():
        hidden = store.produce("adapters", {"of": "four"}, lambda part: {})
    assert hidden.processes == 4
    monkeypatch.delenv("WORLD_SIZE")
    alone = store.produce("passes", {"of": "one"}, lambda part: {})
    assert (shared.processes, alone.processes) == (4, 1)
    assert "processes" not in alone.manifest
    phases = {
        "select": PhaseRecord(3600.0, 1.0, None, process_seconds=4 * 3600.0),
        "train": PhaseRecord(1800.0, 1.0, None),
        "report": PhaseRecord(60.0, 60.0, None),
    }
    priced = Cost(price_per_device_hour=10.0)
    assert spent(phases, priced, stated={})["device_hours"] == 4.5
    assert spent(phases, priced, stated={"money": 5.0})["money"] == 50.0
    assert spent(phases, replace(priced, devices=2), stated={})["device_hours"] == 3.0


def test_a_pass_of_four_processes_costs_four_devices_in_a_selection_of_one() -> None:
    lineage = Lineage()
    made = Artifact("passes", "a", Path("a"), {"seconds": 10.0, "processes": 4})
    lineage.add(made)
    lineage.add(Artifact("passes", "b", Path("b"), {"seconds": 5.0}, fresh=True))
    assert lineage.seconds(6.0) == 16.0
    assert lineage.process_seconds(6.0, 1) == 46.0
    again = Lineage()
    again.add(replace(made, fresh=True))
    assert again.process_seconds(11.0, 4) == 44.0


def package(root: Path, folder: str, name: str, microjoules: int, turn: int = 1000) -> Path:
    place = root / folder
    place.mkdir(parents=True)
    (place / "name").write_text(f"{name}\n")
    (place / "max_energy_range_uj").write_text(f"{turn}\n")
    (place / "energy_uj").write_text(f"{microjoules}\n")
    return place / "energy_uj"


class Nvml:
    """NVIDIA's bindings with two devices; `count` is what the first has used, in millijoules."""

    class NVMLError(Exception): ...

    def __init__(self) -> None:
        self.count = 5_000
        self.lost = False

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:
        if index > 1:
            raise self.NVMLError("not found")
        return f"GPU-{index}"

    def nvmlDeviceGetHandleByUUID(self, name: str) -> str:
        return name

    def nvmlDeviceGetName(self, handle: str) -> str:
        return f"device {handle[-1]}"

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        if self.lost:
            raise self.NVMLError("lost")
        return self.count if handle == "GPU-0" else 0


def names(counters: list[Counter]) -> list[str]:
    return [counter.name for counter in counters]


def test_packages_are_counted_once_and_not_by_their_parts(tmp_path: Path) -> None:
    package(tmp_path, "intel-rapl:0", "package-0", 10)
    package(tmp_path, "intel-rapl:0:0", "core", 10)
    package(tmp_path, "intel-rapl:1", "psys", 10)
    package(tmp_path, "intel-rapl-mmio:0", "package-0", 10)
    package(tmp_path, "intel-rapl:2", "package-1", 10)
    assert names(packages(tmp_path)) == ["CPU package-0", "CPU package-1"]


def test_a_counter_that_starts_again_from_0_loses_nothing(tmp_path: Path) -> None:
    file = package(tmp_path, "intel-rapl:0", "package-0", 900_000_000, turn=1_000_000_000)
    gauge = Gauge(packages(tmp_path))
    since = gauge.joules()
    file.write_text("100000000\n")
    assert gauge.joules() == pytest.approx(200.0)
    file.write_text("50000000\n")
    assert gauge.watt_hours(since) == pytest.approx((200.0 + 950.0) / 3600)


@pytest.mark.parametrize(
    ("visible", "counted"),
    [
        (None, ["device 0", "device 1"]),
        ("1", ["device 1"]),
        ("1,-1,0", ["device 1"]),
        ("GPU-0", ["device 0"]),
        ("", []),
        ("0,7", []),
    ],
)
def test_the_devices_are_those_that_the_process_may_use(visible: str | None, counted: list[str]) -> None:
    assert names(devices(Nvml(), visible)) == counted


def test_devices_and_packages_are_one_sum(tmp_path: Path) -> None:
    file, nvml = package(tmp_path, "intel-rapl:0", "package-0", 0, turn=10**9), Nvml()
    gauge = Gauge([*packages(tmp_path), *devices(nvml, None)])
    since = gauge.joules()
    nvml.count += 3_000_000
    file.write_text("600000000\n")
    assert gauge.watt_hours(since) == pytest.approx(1.0)
    assert gauge.names == ("CPU package-0", "device 0", "device 1")


def test_unknown_machine_facts_are_none(tmp_path: Path) -> None:
    gauge = Gauge([*packages(tmp_path / "nowhere"), *devices(None, None)])
    assert (gauge.joules(), gauge.watt_hours(None), gauge.names) == (None, None, ())
    package(tmp_path, "intel-rapl:0", "package-0", 0).unlink()
    assert Gauge(packages(tmp_path)).joules() is None


def test_a_device_that_stops_telling_makes_the_sum_unknown() -> None:
    nvml = Nvml()
    gauge = Gauge(devices(nvml, "0"))
    since = gauge.joules()
    nvml.lost = True
    assert gauge.watt_hours(since) is None


def test_an_artifact_says_what_its_making_took(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = Nvml()
    gauge = Gauge(devices(nvml, "0"))
    monkeypatch.setattr("nait.store.store.gauge", lambda: gauge)

    def write(part: Path) -> dict[str, int]:
        nvml.count += 7_200_000
        return {}

    made = Store(tmp_path).produce("things", {"a": 1}, write)
    assert made.energy_wh == pytest.approx(2.0)
    assert made.manifest["energy_of"] == ["device 0"]
    monkeypatch.setattr("nait.store.store.gauge", lambda: Gauge([]))
    assert Store(tmp_path).produce("things", {"a": 2}, lambda _: {}).energy_wh is None


def test_one_process_has_one_gauge() -> None:
    assert energy.gauge() is energy.gauge()


def test_what_was_in_the_store_is_added_and_what_was_made_now_is_not_counted_twice() -> None:
    assert cost_from_empty_store(10.0, [(4.0, 4.0), (7.0, 0.0)]) == 17.0
    assert cost_from_empty_store(1.0, [(4.0, 4.0)]) == 4.0
    assert cost_from_empty_store(3.0, [(9.0, 2.0)]) == 10.0, "7 of the 9 were an earlier attempt's"
