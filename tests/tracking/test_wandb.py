"""W&B: what was logged can be read back, and nothing that W&B does stops a run."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nait.core.errors import ConfigError
from nait.tracking.trackers import combined
from nait.tracking.wandb.artifacts import artifact_of
from nait.tracking.wandb.tracker import WandbTracker

KEY = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No key, no settings, no home of the user's."""
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


def logs(folder: Path) -> list[Path]:
    return sorted(folder.glob("wandb/*run-*/*.wandb"))


def records(log: Path) -> list[dict[str, Any]]:
    """The records of a run's log, as W&B's own reader shows them."""
    reader = [str(Path(sys.executable).parent / "wandb"), "leet", "inspect", "--json", str(log)]
    text = subprocess.run(reader, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in text.splitlines()]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in found if record["type"] == kind]


def history(found: list[dict[str, Any]], key: str) -> list[Any]:
    return [item["item"][key] for item in of_kind(found, "history") if key in item["item"]]


def test_an_offline_run_can_be_read_back(tmp_path: Path) -> None:
    tracker = WandbTracker(tmp_path, tags=["mine", "x" * 99])
    tracker.start("nait-gsm", {"seed": 0, "budget": {"ratio": 0.1}}, group="study", tags=["nait", "mine"])
    for step in range(3):
        tracker.log({"loss": 2.0 - step}, phase="train", step=step)
    tracker.log({"rows": 5}, phase="score", step=100)
    tracker.log({"seconds": 1.5}, phase="select")
    tracker.histogram("scores", np.array([0.0, 1.0, np.nan]))
    tracker.table("top", ["id", "score"], [["a", 1.5], ["b", "n/a"]])
    selected = tmp_path / "selected.jsonl"
    selected.write_text('{"id": "a"}\n', encoding="utf-8")
    tracker.artifact("selection of 1/2", "selection", [selected], {"rows": 1})
    tracker.summary({"eval/acc": 0.25})
    tracker.finish()
    (log,) = logs(tmp_path)
    found = records(log)
    (run,) = of_kind(found, "run")
    assert run["config"]["update"]["budget"] == {"ratio": 0.1}
    assert (run["project"], run["run_group"], run["display_name"]) == ("nait", "study", "nait-gsm")
    assert run["tags"] == ["nait", "mine", "x" * 64]
    assert history(found, "train/loss") == [2.0, 1.0, 0.0]
    assert history(found, "train/step") == [0, 1, 2]
    assert history(found, "score/step") == [100]
    assert history(found, "select/seconds") == [1.5]
    axes = {m.get("glob_name"): m.get("step_metric") for m in of_kind(found, "metric")}
    assert (axes["train/*"], axes["score/*"]) == ("train/step", "score/step")
    assert sum(history(found, "scores.values")[0]) == 2
    assert history(found, "top.nrows") == [2]
    (table,) = log.parent.glob("files/media/table/*.json")
    assert json.loads(table.read_text(encoding="utf-8"))["data"] == [["a", 1.5], ["b", "n/a"]]
    (selection,) = [a for a in of_kind(found, "artifact") if a["type"] == "selection"]
    assert selection["name"] == "selection_of_1_2"
    assert selection["manifest"]["contents"][0]["local_path"] == str(selected)
    assert {"eval/acc": 0.25} in [s["update"] for s in of_kind(found, "summary")]
    assert [record["exit_code"] for record in of_kind(found, "exit")] == [0]
    assert not (tmp_path / "home" / ".local").exists()


def test_files_of_an_artifact_have_the_places_they_were_given(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.json", "two.json")]
    for file in files:
        file.write_text("{}", encoding="utf-8")
    tracker = WandbTracker(tmp_path)
    tracker.start("run", {}, group="", tags=[])
    tracker.artifact(
        "record-ab", "record", {"runs/ab/manifest.json": files[0], "x/manifest.json": files[1]}, {}
    )
    tracker.finish()
    (record,) = [a for a in of_kind(records(logs(tmp_path)[0]), "artifact") if a["type"] == "record"]
    found = {entry["path"]: entry["local_path"] for entry in record["manifest"]["contents"]}
    assert found == {"runs/ab/manifest.json": str(files[0]), "x/manifest.json": str(files[1])}


def test_a_run_with_a_key_has_it_as_its_id_and_its_last_stage_as_its_type(tmp_path: Path) -> None:
    tracker = WandbTracker(tmp_path)
    tracker.start("run", {}, group="", tags=[], kind="train", key="ab12")
    tracker.finish()
    (run,) = of_kind(records(logs(tmp_path)[0]), "run")
    assert (run["run_id"], run["job_type"]) == ("ab12", "train")


class Resumed:
    """The parts of a resumed W&B run that the tracker reads."""

    resumed = True
    url = dir = "http://wandb.test"

    def __init__(self) -> None:
        self.summary = {"train/step": 3, "eval/acc": 0.5}
        self.logged: list[dict[str, Any]] = []

    def define_metric(self, *_: Any, **__: Any) -> None: ...

    def log(self, values: dict[str, Any]) -> None:
        self.logged.append(values)

    def finish(self, **_: Any) -> None: ...


def test_a_resumed_run_has_each_step_of_its_curve_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Resumed()
    monkeypatch.setattr(WandbTracker, "_init", lambda *_: run)
    tracker = WandbTracker(tmp_path)
    tracker.start("run", {}, group="", tags=[], key="ab12")
    for step in range(1, 6):
        tracker.log({"loss": float(step)}, phase="train", step=step)
    tracker.log({"loss": 1.0}, phase="other", step=1)
    tracker.finish()
    assert [(values.get("train/step"), values.get("other/step")) for values in run.logged] == [
        (4, None), (5, None), (None, 1),
    ]  # fmt: skip


def test_a_run_that_was_deleted_on_the_server_gets_another_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    def init(_: Any, mode: str, about: dict[str, Any]) -> Resumed:
        tried.append(about["id"])
        if about["id"] == "ab12":
            raise RuntimeError("run ab12 was previously created and deleted")
        return Resumed()

    monkeypatch.setattr(WandbTracker, "_init", init)
    monkeypatch.setattr("nait.tracking.wandb.tracker.log_in", lambda: None)
    tracker = WandbTracker(tmp_path, mode="online")
    tracker.start("run", {}, group="", tags=[], key="ab12")
    tracker.finish()
    assert len(tried) == 2
    assert tried[1].startswith("ab12-")


def test_an_id_that_a_timed_out_attempt_still_holds_is_replaced_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[tuple[str, str]] = []

    def init(_: Any, mode: str, about: dict[str, Any]) -> Resumed:
        tried.append((mode, about["id"]))
        if mode == "online":
            raise RuntimeError("Timed out initializing run")
        if about["id"] == "ab12":
            raise RuntimeError("run ID ab12 is in use")
        return Resumed()

    monkeypatch.setattr(WandbTracker, "_init", init)
    monkeypatch.setattr("nait.tracking.wandb.tracker.log_in", lambda: None)
    tracker = WandbTracker(tmp_path, mode="online")
    tracker.start("run", {}, group="", tags=[], key="ab12")
    tracker.finish()
    assert tried[:2] == [("online", "ab12"), ("offline", "ab12")]
    assert tried[2][0] == "offline"
    assert tried[2][1].startswith("ab12-")


def test_two_runs_in_one_process_do_not_mix(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    first, second = (WandbTracker(tmp_path / name, group=name) for name in ("one", "two"))
    first.start("one", {"job": 1}, group="g", tags=["a"])
    first.log({"loss": 1.0}, phase="train", step=7)
    # The first job failed and left its run open.
    second.start("two", {"job": 2}, group="g", tags=["b"])
    second.log({"loss": 2.0}, phase="train", step=0)
    second.finish()
    first.finish(failed=True)
    one, two = (records(logs(tmp_path / name)[0]) for name in ("one", "two"))
    for found, name, tag, loss, code in ((one, "one", "a", 1.0, 1), (two, "two", "b", 2.0, 0)):
        (run,) = of_kind(found, "run")
        assert (run["display_name"], run["run_group"], run["tags"]) == (name, name, [tag])
        assert history(found, "train/loss") == [loss]
        assert [record["exit_code"] for record in of_kind(found, "exit")] == [code]
        assert {m.get("glob_name") for m in of_kind(found, "metric")} == {None, "train/*"}
    assert signal.getsignal(signal.SIGTERM) is before
    first.log({"loss": 9.0}, phase="train", step=8)  # after the end: nowhere


RUN = """
import sys, time
from pathlib import Path
from nait.tracking.wandb.tracker import WandbTracker
tracker = WandbTracker(Path(sys.argv[1]))
tracker.start("killed", {"seed": 5}, group="g", tags=[])
try:
    for step in range(4):
        tracker.log({"loss": float(step)}, phase="train", step=step)
    time.sleep(float(sys.argv[2]))
    print("ready", flush=True)
    time.sleep(600)
except BaseException:
    tracker.finish(failed=True)
    raise
"""


@pytest.mark.parametrize(("kill", "wait", "code"), [(signal.SIGTERM, 0, 143), (signal.SIGKILL, 0.5, -9)])
def test_a_killed_run_keeps_its_log(kill: signal.Signals, wait: float, code: int, tmp_path: Path) -> None:
    command = [sys.executable, "-c", RUN, str(tmp_path), str(wait)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(kill)
        assert process.wait(timeout=120) == code
    (log,) = logs(tmp_path)
    deadline = time.monotonic() + 120  # W&B's own process may write its last records after ours has ended
    while len(history(found := records(log), "train/loss")) < 4 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert history(found, "train/loss") == [0.0, 1.0, 2.0, 3.0]
    assert of_kind(found, "run")[0]["config"]["update"]["seed"] == 5


def test_online_without_a_key_continues_offline(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tracker = WandbTracker(tmp_path, mode="online")
    tracker.start("run", {}, group="", tags=[])
    tracker.log({"loss": 1.0}, phase="train", step=0)
    tracker.finish()
    assert "logged offline" in caplog.text
    assert "wandb login" in caplog.text
    assert history(records(logs(tmp_path)[0]), "train/loss") == [1.0]


def test_online_without_a_network_continues_offline_and_hides_the_key(tmp_path: Path) -> None:
    """In a process of its own: W&B keeps a key for as long as its process lives."""
    code = (
        "import logging, sys\nimport wandb\nlogging.basicConfig(level=logging.INFO)\n"
        "from nait.tracking.trackers import combined\n"
        "def init(**keys):\n    print('waits', keys['settings'].init_timeout)\n    return begin(**keys)\n"
        "begin, wandb.init = wandb.init, init\n"
        "tracker = combined(sys.argv[1], mode='online', init_timeout=1)\n"
        "tracker.start('run', {}, group='', tags=[])\n"
        "tracker.log({'loss': 1.0}, phase='train', step=0)\ntracker.finish()\n"
    )
    nowhere = {**os.environ, "WANDB_API_KEY": KEY, "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=nowhere, check=True, capture_output=True, text=True
    )
    assert done.stdout.startswith("waits 1.0\n")
    assert "logged offline" in done.stderr
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert history(records(log), "train/loss") == [1.0]
    assert (tmp_path / "metrics.jsonl").is_file()
    texts = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in text for text in [*texts, (done.stdout + done.stderr).encode()])


def test_a_folder_that_cannot_be_written_means_no_run_and_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    tracker = WandbTracker(tmp_path / "file" / "run")
    tracker.start("run", {}, group="", tags=[])
    tracker.log({"loss": 1.0}, phase="train", step=0)
    tracker.table("t", ["a"], [[1]])
    tracker.finish()
    assert len(caplog.records) == 1
    assert "the run continues" in caplog.text


def test_a_call_that_wandb_refuses_is_warned_about_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = WandbTracker(tmp_path)
    tracker.start("run", {}, group="", tags=[])
    for _ in range(3):
        tracker.artifact("gone", "selection", [tmp_path / "absent.jsonl"], {})
    tracker.log({"loss": 1.0}, phase="train", step=0)
    tracker.finish()
    ours = [record for record in caplog.records if record.name.startswith("nait")]
    assert [record.levelname for record in ours] == ["WARNING"]
    assert history(records(logs(tmp_path)[0]), "train/loss") == [1.0]


def test_disabled_writes_nothing(tmp_path: Path) -> None:
    tracker = WandbTracker(tmp_path, mode="disabled")
    tracker.start("run", {}, group="", tags=[])
    tracker.log({"loss": 1.0}, phase="train", step=0)
    tracker.finish()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_mode_is_offered_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'offline'"):
        WandbTracker(tmp_path, mode="ofline")  # type: ignore[arg-type]


@pytest.mark.parametrize("option", ["files", "wandb", "tensorboard"])
def test_each_option_builds_what_its_file_says(option: str, tmp_path: Path) -> None:
    import inspect

    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    file = Path(__file__).resolve().parents[2] / "conf" / "tracking" / f"{option}.yaml"
    paths = {"run": str(tmp_path), "sweep": str(tmp_path)}
    config = OmegaConf.create({"paths": paths, "tracking": OmegaConf.load(file)})
    assert hasattr(instantiate(config.tracking), "start")
    parameters = list(inspect.signature(combined).parameters)
    keys = [key for key in config.tracking if key != "_target_"]
    assert keys == {
        "files": ["folder"], "wandb": parameters, "tensorboard": ["folder", "tensorboard"]
    }[option]  # fmt: skip


def test_names_that_look_like_numbers_are_names_and_a_path_with_a_space_is_quoted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "with space"
    folder.mkdir()
    number: Any = 1
    tracker = WandbTracker(folder, project=number, group=number, tags=[number])
    with caplog.at_level("INFO"):
        tracker.start("run", {}, group=number, tags=[number])
        tracker.finish()
    assert logs(folder)
    (said,) = [one for one in caplog.messages if "wandb sync" in one]
    assert Path(shlex.split(said.split("wandb sync ")[1])[0]).is_dir()


def test_an_offline_run_ends_with_both_ways_to_look_at_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = WandbTracker(tmp_path)
    with caplog.at_level("INFO"):
        tracker.start("run", {}, group="", tags=[])
        assert not [one for one in caplog.messages if "wandb leet" in one]
        tracker.finish()
    (said,) = [one for one in caplog.messages if "wandb sync" in one]
    assert f"wandb leet {tmp_path / 'wandb'} " in said


def test_a_large_file_of_an_artifact_is_a_reference_to_its_path(tmp_path: Path) -> None:
    small, large = tmp_path / "small.json", tmp_path / "with space.safetensors"
    small.write_text("{}", encoding="utf-8")
    large.write_bytes(b"0" * 100)
    made = artifact_of("adapter of 1/2", "adapter", {"a": small, "b": large}, {}, largest=50)
    refs = {place: entry.ref for place, entry in made.manifest.entries.items()}
    assert refs == {"a": None, "b": large.as_uri()}
    assert made.name == "adapter_of_1_2"


def test_no_hook_of_wandb_runs_when_a_library_is_imported(tmp_path: Path) -> None:
    """The hook of a run whose process has ended raises, and with it the import."""
    from wandb.sdk.lib import import_hooks

    tracker = WandbTracker(tmp_path)
    tracker.start("run", {}, group="", tags=[], key="ab12")
    found = {key for hooks in import_hooks._post_import_hooks.values() for key in hooks or ()}
    tracker.finish()
    assert "ab12" not in found
