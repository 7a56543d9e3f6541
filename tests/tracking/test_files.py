"""The file tracker: every call is on the disk when it returns, and no call raises."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.tracking.file_tracker import FileTracker
from nait.tracking.guard import Guard, without_secrets
from nait.tracking.histograms import histogram
from nait.tracking.trackers import Trackers, combined


def started(folder: Path) -> FileTracker:
    tracker = FileTracker(folder)
    tracker.start("run", {"seed": 0}, group="g", tags=["t"])
    return tracker


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def test_each_log_call_is_one_line_at_once(tmp_path: Path) -> None:
    tracker = started(tmp_path / "new")
    tracker.log({"loss": 2.5, "grad_norm": float("nan")}, phase="train", step=1)
    tracker.log({"seconds": np.float64(0.5)}, phase="score")
    first, second = lines(tmp_path / "new")
    assert first.pop("time") <= second.pop("time")
    assert first == {"phase": "train", "step": 1, "values": {"loss": 2.5, "grad_norm": None}}
    assert second == {"phase": "score", "step": None, "values": {"seconds": 0.5}}


def test_a_second_run_adds_to_the_log(tmp_path: Path) -> None:
    for loss in (1.0, 2.0):
        started(tmp_path).log({"loss": loss}, phase="train", step=0)
    assert [line["values"]["loss"] for line in lines(tmp_path)] == [1.0, 2.0]


def test_tables_histograms_and_summary_have_files_of_their_own(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    tracker.table(
        "top/bottom",
        ["id", "text", "score"],
        [["a", "one, two\nthree", np.float64(0.5)], ["b\x1b[2J", "", None]],
    )
    tracker.histogram("score", np.array([0.0, 1.0, 1.0, np.nan]))
    tracker.summary({"rows": 2})
    tracker.summary({"seconds": np.int64(3)})
    with (tmp_path / "tables" / "top_bottom.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [
            ["id", "text", "score"],
            ["a", "one, two\nthree", "0.5"],
            ["b\\x1b[2J", "", ""],
        ]
    shape = json.loads((tmp_path / "histograms" / "score.json").read_text(encoding="utf-8"))
    assert (sum(shape["counts"]), len(shape["edges"]), shape["nonfinite"]) == (3, 65, 1)
    assert json.loads((tmp_path / "summary.json").read_text(encoding="utf-8")) == {"rows": 2, "seconds": 3}


def test_a_folder_that_cannot_be_written_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    tracker = started(tmp_path / "file" / "run")
    for step in range(3):
        tracker.log({"loss": 1.0}, phase="train", step=step)
    tracker.summary({"a": 1})
    tracker.finish(failed=True)
    assert len(caplog.records) == 1
    assert "the run continues" in caplog.text


class Failing:
    """A tracker that raises at every call."""

    def __getattr__(self, name: str) -> Any:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise ConnectionError(f"{name} refused")

        return fail


def test_a_failing_tracker_is_named_once_and_the_rest_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trackers = Trackers([Failing(), FileTracker(tmp_path)])
    trackers.start("run", {}, group="", tags=[])
    trackers.log({"loss": 1.0}, phase="train", step=1)
    trackers.histogram("h", np.zeros(3))
    trackers.table("t", ["a"], [[1]])
    trackers.artifact("s", "selection", [], {})
    trackers.summary({"a": 1})
    trackers.finish()
    assert [line["values"] for line in lines(tmp_path)] == [{"loss": 1.0}]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "Failing" in caplog.text
    assert "start refused" in caplog.text


def test_the_files_option_is_the_file_tracker(tmp_path: Path) -> None:
    tracker = combined(str(tmp_path))
    tracker.start("run", {}, group="", tags=[])
    tracker.log({"a": 1}, phase="p")
    assert len(lines(tmp_path)) == 1


def test_a_guard_lets_an_interrupt_pass() -> None:
    with pytest.raises(KeyboardInterrupt), Guard("x"):
        raise KeyboardInterrupt


def test_a_secret_is_struck_from_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "s3cret")
    assert without_secrets("key s3cret is bad\nmore") == "key <WANDB_API_KEY> is bad"


def test_a_histogram_of_nothing_is_empty() -> None:
    counts, edges, nonfinite = histogram(np.array([np.nan, np.inf]))
    assert (counts.sum(), len(edges), nonfinite) == (0, 65, 2)


def test_two_names_of_one_file_have_a_file_each(tmp_path: Path) -> None:
    tracker = started(tmp_path)
    for name, value in (("scores/a b", 1.0), ("scores/a_b", 2.0), ("scores/a b", 3.0)):
        tracker.histogram(name, np.array([value]))
    edges = {path.name: json.loads(path.read_text())["edges"] for path in (tmp_path / "histograms").iterdir()}
    assert {name: (found[0] + found[-1]) / 2 for name, found in edges.items()} == {
        "scores_a_b.json": 3.0,
        "scores_a_b-2.json": 2.0,
    }
