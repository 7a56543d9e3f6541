"""Laws of attempts: what was kept is counted once, what was lost is not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nait.store.attempts import NOTE, Attempt
from tests.clocks import later_clock


def written(folder: Path) -> Path:
    path = folder / "kept"
    path.touch()
    return path


def test_an_attempt_adds_what_the_earlier_ones_took_up_to_what_they_kept(tmp_path: Path) -> None:
    first = Attempt(tmp_path, kept=[])
    time.sleep(0.1)
    kept = written(tmp_path)
    first.keep()
    time.sleep(0.3)  # lost: nothing was written after it
    second = Attempt(tmp_path, kept=[kept])
    assert 0.1 <= second.earlier_seconds < 0.3
    third = Attempt(tmp_path, kept=[kept])
    assert third.earlier_seconds == pytest.approx(second.earlier_seconds, abs=0.002)
    assert third.facts()["earlier_seconds"] == third.earlier_seconds
    assert not (tmp_path / NOTE).exists()


def test_a_kill_between_what_was_kept_and_its_note_loses_no_second(tmp_path: Path) -> None:
    Attempt(tmp_path, kept=[])
    kept = written(tmp_path)
    noted = (tmp_path / NOTE).stat().st_mtime
    os.utime(kept, (noted + 5, noted + 5))
    facts = Attempt(tmp_path, kept=[kept]).facts()
    assert facts["earlier_seconds"] == pytest.approx(5, abs=0.1)
    assert facts["earlier_energy_wh"] is None


def test_an_attempt_that_finds_nothing_kept_starts_at_zero(tmp_path: Path) -> None:
    Attempt(tmp_path, kept=[]).keep()
    assert Attempt(tmp_path, kept=[]).facts() == {}


def test_what_every_attempt_does_again_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = later_clock(monkeypatch)
    first = Attempt(tmp_path, kept=[])
    later(1000)  # libraries, for example
    first.begin()
    kept = written(tmp_path)
    first.keep()
    second = Attempt(tmp_path, kept=[kept])
    later(1000)
    second.begin()
    second.keep()
    assert Attempt(tmp_path, kept=[kept]).earlier_seconds < 1000
