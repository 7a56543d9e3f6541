"""What scores predict, from the command line: subsets are trained, methods only score, and the report correlates."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from nait.store import Store
from tests.app.commands import given, manifests, warm


@pytest.mark.slow
def test_subsets_are_trained_once_and_every_method_is_measured_on_them(home: Path, tmp_path: Path) -> None:
    usual = [word for word in given(home) if not word.startswith("target")]
    words = [
        *usual, "sweep=validity", "target=files", f"target.paths={{toy: {home / 'refs.jsonl'}}}", "beside=[]",
        "budget.ratio=0.3", "selector.subset=range(0,8)", "selector.clusters=4", "train.epochs=1", "train.lora.r=2",
    ]  # fmt: skip
    first = warm().run([*words, "selector=nait,length,tilted_random"], cwd=tmp_path, seconds=1800)
    assert first.returncode == 0, first.stderr
    assert "shuffled scores" in first.stdout
    assert "tilted_random" not in first.stdout
    (known,) = (tmp_path / "runs").rglob("report/validity.csv")
    rows = list(csv.DictReader(known.open()))
    assert {row["selector"] for row in rows} >= {"nait", "length"}
    assert {row["subsets"] for row in rows} == {"8"}
    trained = [one["links"].get("adapter") for one in manifests(tmp_path)]
    assert len(list(filter(None, trained))) == 8
    store = Store(tmp_path / "store")
    assert len(store.artifacts("adapters")) == 8
    again = warm().run([*words, "selector=perplexity,tilted_random"], cwd=tmp_path, seconds=1800)
    assert again.returncode == 0, again.stderr
    assert "perplexity" in again.stdout
    assert "mean rank" in again.stdout
    assert len(store.artifacts("adapters")) == 8  # nothing is trained again
