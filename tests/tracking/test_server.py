"""Online runs on a real W&B-compatible server: its numbers are the leaderboard's.

`NAIT_WANDB_SERVER=URL:DATABASE`: the address of the server and its SQLite file, such as
`http://127.0.0.1:8081:/tmp/data/openwandb.db`. The client's public API asks for fields that such a server lacks, so
what arrived is read from its database.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nait.store import Store
from nait.sweeps.grouping.collect import collect
from nait.sweeps.stored_runs.run_set import RunSet
from tests.app.commands import environment, given, make_home

SERVER = "NAIT_WANDB_SERVER"
KEY = "local0000000000000000000000000000000000000000"
pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(SERVER not in os.environ, reason=f"{SERVER} names no W&B-compatible server"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after two runs of one sweep, of which the second found everything in the store."""
    folder = tmp_path_factory.mktemp("online")
    home = make_home(tmp_path_factory.mktemp("home"))
    words = [word for word in given(home) if word != "tracking=files"]
    url = os.environ[SERVER].rpartition(":")[0]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "nait", "-m", *words, "tracking=wandb", "tracking.mode=online", "train.epochs=1",
             "tracking.init_timeout=120",
             f"tracking.project={folder.name}", "selector=nait,random", "seed=0", "group=1", "budget.ratio=0.2"],
            cwd=folder, env={**environment(), "WANDB_BASE_URL": url, "WANDB_API_KEY": KEY}, check=False,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "logged offline" not in done.stderr, done.stderr
    return folder


@pytest.fixture(scope="module")
def arrived(folder: Path) -> list[dict[str, Any]]:
    """Runs on the server: id, name, summary, config and metrics."""
    with sqlite3.connect(os.environ[SERVER].rpartition(":")[2]) as database:
        database.row_factory = sqlite3.Row
        asked = (
            "SELECT runs.* FROM runs JOIN projects ON runs.project_id = projects.id WHERE projects.name = ?"
        )
        runs = [dict(row) for row in database.execute(asked, (folder.name,))]
        for run in runs:
            points = "SELECT key, value FROM metrics WHERE run_id = ? ORDER BY id"
            run["metrics"] = [tuple(row) for row in database.execute(points, (run["run_id"],))]
            run["summary"], run["config"] = json.loads(run["summary_json"]), json.loads(run["config_json"])
    return runs


def test_a_rerun_updates_its_runs(arrived: list[dict[str, Any]]) -> None:
    names = sorted(run["display_name"] for run in arrived)
    assert names[0].startswith("leaderboard-")  # and the name of the sweep's folder
    assert names[1:] == ["nait-refs-s0", "random-refs-s0"]
    assert {run["state"] for run in arrived} == {"finished"}


def test_the_servers_numbers_are_the_leaderboards(folder: Path, arrived: list[dict[str, Any]]) -> None:
    rows = collect(RunSet.load(Store(folder / "store")))
    assert {row.selector for row in rows} == {"nait", "random"}
    for row in rows:
        (run,) = [run for run in arrived if run["display_name"] == f"{row.selector}-refs-s0"]
        summary = run["summary"]
        assert summary["seconds/select"] == row.seconds_select
        assert summary["seconds/train"] == row.seconds_train
        assert summary["seconds/evaluate"] == row.seconds_evaluate
        assert summary["device_hours"] == pytest.approx(row.device_hours)
        assert summary[f"eval/{row.task}/{row.metric}"] == row.value
        assert summary[f"stderr/{row.task}/{row.metric}"] == row.stderr
        assert summary[f"items/{row.task}/{row.metric}"] == row.n
        assert (summary["selected/rows"], summary["selected/answer_tokens"]) == (
            row.selected_rows,
            row.answer_tokens,
        )
        assert summary["elapsed/train"] < summary["seconds/train"], "the second run found its training"
        assert [value for key, value in run["metrics"] if key == "train/loss"]
        assert "_target_" not in json.dumps(run["config"])


def test_the_leaderboards_run_has_each_difference_to_random(arrived: list[dict[str, Any]]) -> None:
    (board,) = [run for run in arrived if run["display_name"].startswith("leaderboard")]
    assert board["summary"]["minus_random/toy_sums/acc/nait/refs/20%"] is not None
