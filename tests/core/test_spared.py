"""Laws of spared work: part of an artifact's cost, and not of the time of the run that was spared it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nait.store import Store
from nait.store.spared import spare


def test_spared_work_counts_in_the_cost_and_not_in_the_time_of_this_run(tmp_path: Path) -> None:
    def write(_: Path) -> Mapping[str, Any]:
        spare(40.0, None)
        return {"earlier_seconds": 2.0}

    made = Store(tmp_path).produce("scores", {"a": 1}, write)
    assert made.seconds == pytest.approx(42.0, abs=0.5)
    assert made.seconds_now == pytest.approx(0.0, abs=0.5)
    assert made.energy_wh is None


def test_work_is_spared_to_the_innermost_artifact(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def inner(_: Path) -> Mapping[str, Any]:
        spare(40.0, 1.0)
        return {}

    def outer(_: Path) -> Mapping[str, Any]:
        store.produce("passes", {"a": 1}, inner)
        return {}

    made = store.produce("scores", {"a": 1}, outer)
    assert made.seconds == pytest.approx(0.0, abs=0.5)
    (passed,) = store.artifacts("passes")
    assert passed.seconds == pytest.approx(40.0, abs=0.5)
