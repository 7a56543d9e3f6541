"""TensorBoard: what was logged can be read back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.errors import ConfigError
from nait.tracking.tensorboard import TensorboardTracker
from nait.tracking.trackers import combined


def events(folder: Path) -> Any:
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def test_curves_summary_histograms_and_tables_can_be_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    tracker = combined(str(tmp_path), tensorboard=True)
    tracker.start("run", {"seed": 5}, group="g", tags=["t"], kind="train", key="ab12")
    for step in (1, 2):
        tracker.log({"loss": 2.0 / step}, phase="train", step=step)
    tracker.histogram("scores", np.array([0.0, 1.0, np.nan]))
    tracker.table("top", ["id", "text"], [["a", "one | two"], ["![x](http://evil/x.png)", "<b>"]])
    tracker.summary({"eval/x/acc": 0.5, "seconds/train": 3, "note": "text"})
    tracker.finish()
    found = events(tmp_path)
    assert [(one.step, one.value) for one in found.Scalars("train/loss")] == [(1, 2.0), (2, 1.0)]
    assert [found.Scalars(name)[0].value for name in ("eval/x/acc", "seconds/train")] == [0.5, 3.0]
    assert found.Histograms("scores")[0].histogram_value.num == 2
    texts = {
        tag: found.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in found.Tags()["tensors"]
    }
    assert "| a | one \\| two |" in texts["top/text_summary"]
    assert "| !\\[x\\](http://evil/x.png) | &lt;b&gt; |" in texts["top/text_summary"]
    assert '"seed": 5' in texts["config/text_summary"]
    assert (tmp_path / "metrics.jsonl").is_file()


def test_without_the_package_the_fix_is_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'nait\[tensorboard\]'"):
        TensorboardTracker(tmp_path)
