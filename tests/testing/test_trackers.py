"""All trackers of ours keep the trackers' contract. W&B's is offline: there is no network."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nait.core.contracts import Tracker
from nait.testing import TrackerContract
from nait.tracking.file_tracker import FileTracker
from nait.tracking.tensorboard import TensorboardTracker
from nait.tracking.trackers import Trackers, combined
from nait.tracking.wandb.tracker import WandbTracker


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no settings, no home of the user's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


class TestFileTracker(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return FileTracker(folder)


class TestWandb(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return WandbTracker(folder)


class TestWandbDisabled(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return WandbTracker(folder, mode="disabled")


class TestFiles(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return combined(str(folder))


class TestFilesAndWandb(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return combined(str(folder), mode="offline")


class TestTensorboard(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        pytest.importorskip("tensorboard")
        return TensorboardTracker(folder)


class Raising:
    """A tracker that raises at every call."""

    def __getattr__(self, name: str) -> object:
        raise ConnectionError(name)


class TestTrackersOfOneThatRaises(TrackerContract):
    def tracker(self, folder: Path) -> Tracker:
        return Trackers([Raising(), FileTracker(folder)])  # type: ignore[list-item]
