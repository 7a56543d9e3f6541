"""The contract tests of a tracker."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nait.core.contracts import Tracker
from nait.tracking.guard import SECRETS

SECRET = "s3cr3t-0123456789abcdef0123456789abcdef"  # noqa: S105  # not a real key
CONFIG = {
    "seed": 0,
    "budget": {"ratio": 0.1},
    "path": Path("some/where"),
    "names": {"b", "a"},
    "unknown": object,
    "number": np.float32(0.5),
    "missing": None,
}
METRICS: Mapping[str, Any] = {
    "loss": 2.5,
    "grad_norm": float("nan"),
    "big": float("inf"),
    "rows": np.int64(3),
}
NAMES = ("scores", "a/b c: d", "é" * 300)
VALUES = (
    np.array([0.0, 1.0, np.nan]),
    np.array([]),
    np.full(3, np.nan),
    np.zeros(4),
    np.arange(6).reshape(2, 3),
)
ROWS: list[list[Any]] = [
    ["a", "one, two\nthree", np.float64(0.5)],
    ["b", "", None],
    [1, Path("x"), float("inf")],
]


class TrackerContract:
    """Subclass it, return a tracker from `tracker`, and pytest runs the laws.

    A tracker that needs a server is tested without a connection to it: it must not stop a run.
    """

    def tracker(self, folder: Path) -> Tracker:
        """The tracker under test, a new instance at each call. It may write to `folder`, which need not exist."""
        raise NotImplementedError("Return a tracker.")

    # The laws.

    def test_any_values_can_be_logged(self, tmp_path: Path) -> None:
        """No call raises for NaN, infinity, numpy numbers, paths, unknown objects, unusual names or empty arrays."""
        tracker = self.tracker(tmp_path / "run")
        for call in _calls(tracker, tmp_path):
            _quietly(call)

    def test_missing_files_do_not_stop_a_run(self, tmp_path: Path) -> None:
        """No call raises for a missing page or artifact file."""
        tracker, gone = self.tracker(tmp_path / "run"), tmp_path / "gone.html"
        _quietly(lambda: tracker.start("run", {}, group="", tags=[]))
        _quietly(lambda: tracker.page("report", gone))
        _quietly(lambda: tracker.artifact("selection", "selection", [gone], {}))
        _quietly(lambda: tracker.artifact("selection", "selection", {"a/b.json": gone}, {}))
        _quietly(lambda: tracker.finish(failed=True))

    def test_calls_outside_a_run_do_not_raise(self, tmp_path: Path) -> None:
        """No call raises before `start` or after `finish`, at a second `start` or at a second `finish`."""
        tracker = self.tracker(tmp_path / "run")
        start, *calls = _calls(tracker, tmp_path)
        for call in (*calls, start, start, *calls, *calls):
            _quietly(call)

    def test_an_unwritable_folder_does_not_stop_a_run(self, tmp_path: Path) -> None:
        """No call raises if the tracker's folder cannot be created."""
        (tmp_path / "file").write_text("not a folder", encoding="utf-8")
        for call in _calls(self.tracker(tmp_path / "file" / "run"), tmp_path):
            _quietly(call)

    def test_logged_values_are_not_modified(self, tmp_path: Path) -> None:
        """A tracker does not modify the config, the arrays or the rows that it receives."""
        config, rows, values = copy.deepcopy(CONFIG), copy.deepcopy(ROWS), VALUES[0].copy()
        tracker = self.tracker(tmp_path / "run")
        tracker.start("run", config, group="g", tags=["t"])
        tracker.table("rows", ["a", "b", "c"], rows)
        tracker.histogram("values", values)
        tracker.summary(config)
        tracker.finish()
        assert config == CONFIG, "the tracker changes the config"
        assert rows == ROWS, "the tracker changes a table's rows"
        assert np.array_equal(values, VALUES[0], equal_nan=True), "the tracker changes a histogram's values"

    def test_secrets_are_never_written(self, tmp_path: Path, monkeypatch: Any, caplog: Any) -> None:
        """Keys in the environment reach no file of the tracker and no log line, even after a failed call."""
        for name in SECRETS:
            monkeypatch.setenv(name, SECRET)
        tracker = self.tracker(tmp_path / "run")
        for call in _calls(tracker, tmp_path):
            _quietly(call)
        broken = self.tracker(tmp_path / SECRET / "run")
        (tmp_path / SECRET).write_text("not a folder", encoding="utf-8")
        for call in _calls(broken, tmp_path):
            _quietly(call)
        for file in sorted((tmp_path / "run").rglob("*")):
            found = file.is_file() and SECRET.encode() in file.read_bytes()
            assert not found, f"a key is in {file.relative_to(tmp_path)}"
        assert SECRET not in caplog.text, "a key is in the log"


def _calls(tracker: Tracker, folder: Path) -> Iterator[Callable[[], None]]:
    """The calls of a run, from `start` to a second `finish`."""
    page = folder / "page.html"
    page.write_text("<p>A report</p>", encoding="utf-8")
    yield lambda: tracker.start("run", CONFIG, group="g", tags=["t", "x" * 200])
    yield lambda: tracker.log(METRICS, phase="train", step=2)
    yield lambda: tracker.log(METRICS, phase="train", step=1)
    yield lambda: tracker.log({}, phase="select")
    yield lambda: tracker.summary({**CONFIG, **METRICS})
    for name in NAMES:
        for values in VALUES:
            yield lambda name=name, values=values: tracker.histogram(name, values)  # type: ignore[misc]
        yield lambda name=name: tracker.table(name, ["a", "b", "c"], ROWS)  # type: ignore[misc]
        yield lambda name=name: tracker.page(name, page)  # type: ignore[misc]
        yield lambda name=name: tracker.artifact(name, "selection", [page], CONFIG)  # type: ignore[misc]
        yield lambda name=name: tracker.artifact(name, "run", {"a/b.html": page}, {})  # type: ignore[misc]
    yield lambda: tracker.table("empty", [], [])
    yield tracker.finish
    yield lambda: tracker.finish(failed=True)


def _quietly(call: Callable[[], None]) -> None:
    """Raises: AssertionError if the call raises."""
    try:
        call()
    except Exception as error:
        raise AssertionError(f"the tracker raises {error!r}") from error
