"""Several processes run one command: they share its passes, one of them is the run, none waits for the dead."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from safetensors.torch import load_file

from nait.core.ranks import Workers
from nait.runs.processes.launch import (
    AGENT,
    LAUNCHER,
    helper_overrides,
    main_process_store,
    prepare_process,
    without_launcher,
)
from nait.store import Store
from tests.app.commands import environment, manifests

# `nait`, which notes the chunks it measures, and begins to when all processes have opened the model.
PROCESS = """
import os, sys, time
from pathlib import Path

from nait.__main__ import main
from nait.models.devices import process_group
from nait.signals.passes.chunks import Chunks
from nait.signals.passes.stored_signals import StoredSignals

notes, rank, count = Path(sys.argv.pop(1)), os.environ.get("RANK", "0"), int(os.environ.get("WORLD_SIZE", "1"))
dies, write = sys.argv.pop(1), Chunks.write

def noted(chunks, number, *others):
    if rank == dies:
        os._exit(9)
    time.sleep(0.02)  # so that nobody is done before the other has begun
    with (notes / rank).open("a") as stream:
        path = chunks.path(number)
        print(path.relative_to(path.parents[1]), file=stream)
    write(chunks, number, *others)

def together(self, *asked):
    self.encodings.network()
    (notes / f"ready-{rank}").touch()
    while len(list(notes.glob("ready-*"))) < count:
        time.sleep(0.01)
    measure(self, *asked)

def summed(tensors):
    if (rank, "train") == (dies.partition(" ")[0], dies.partition(" ")[2]) and list(Path("store").glob(SAVED)):
        os._exit(9)
    add_up(tensors)

SAVED = "adapters/*.part/checkpoints/checkpoint-*/trainer_state.json"
add_up, process_group.add_up = process_group.add_up, summed
Chunks.write = noted
measure, StoredSignals.run_pass = StoredSignals.run_pass, together
main()
"""
COMMAND = (
    "data=nano_small",
    "data.size=240",
    "tracking=files",
    "engine.chunk_tokens=1500",
    "engine.batch_tokens=1500",
)


def start(folder: Path, count: int, *arguments: str, dies: str = "none") -> subprocess.CompletedProcess[str]:
    """`nait` in so many processes."""
    script, notes = folder / "process.py", folder / "notes"
    notes.mkdir(parents=True)
    script.write_text(PROCESS)
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    return subprocess.run(
        [sys.executable, *(launcher if count > 1 else []), str(script), str(notes), dies, *COMMAND, *arguments],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def measured(folder: Path) -> list[list[str]]:
    """The chunks that each process has measured."""
    return [path.read_text().split() for path in sorted((folder / "notes").glob("[0-9]"))]


def signals(folder: Path) -> dict[str, bytes]:
    store = folder / "store"
    return {str(path.relative_to(store)): path.read_bytes() for path in (store / "passes").rglob("*.npy")}


def scores(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted((folder / "runs").rglob("scores.parquet"))]


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one process leaves."""
    folder = tmp_path_factory.mktemp("single")
    done = start(folder, 1, "stages=[select]")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_torchrun_measures_no_chunk_twice_and_leaves_what_one_process_leaves(
    single: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "two"
    done = start(folder, 2, "stages=[select]")
    assert done.returncode == 0, done.stderr
    shares = measured(folder)
    assert len(shares) == 2, "one process did all"
    assert sorted(shares[0] + shares[1]) == sorted(*measured(single))
    assert signals(folder) == signals(single)
    assert scores(folder) == scores(single)
    assert len(manifests(folder)) == len(list((folder / "runs").glob("*/*"))) == 1
    assert done.stdout.count("Selected ") == 1
    assert done.stderr.count("Opening nano") == 1, "the second process talks"


@pytest.mark.slow
def test_a_dead_process_ends_the_others_and_the_same_command_resumes(single: Path, tmp_path: Path) -> None:
    died, again = tmp_path / "died", tmp_path / "again"
    done = start(died, 2, "stages=[select]", dies="1")
    assert done.returncode != 0
    again.mkdir()
    (died / "store").rename(again / "store")
    done = start(again, 1, "stages=[select]")
    assert done.returncode == 0, done.stderr
    assert sorted(chain(*measured(died), *measured(again))) == sorted(*measured(single))
    assert signals(again) == signals(single)


@pytest.mark.slow
@pytest.mark.parametrize("dead", ["0", "1"])
def test_a_process_that_dies_in_training_ends_the_others_and_fewer_processes_resume(
    dead: str, tmp_path: Path
) -> None:
    asked = ["selector=random", "stages=[select,train]", "train.epochs=2", "train.save_seconds=0"]
    done = start(tmp_path, 2, *asked, dies=f"{dead} train")
    assert done.returncode != 0
    assert f"rank      : {dead}" in " ".join(done.stderr.split(",")), (
        "torchrun does not name the dead process"
    )
    assert list((tmp_path / "store").glob("adapters/*.part/checkpoints/checkpoint-*"))
    (tmp_path / "notes").rename(tmp_path / "notes of the first")
    done = start(tmp_path, 1, *asked)
    assert done.returncode == 0, done.stderr
    (made,) = (tmp_path / "store").glob("adapters/*/manifest.json")
    assert json.loads(made.read_text())["earlier_seconds"] > 0, "the training began anew"


@pytest.mark.slow
def test_torchrun_trains_and_evaluates_as_one_process_does(tmp_path: Path) -> None:
    asked = [
        "selector=random",
        "budget.ratio=0.2",
        "train.epochs=2",
        "train.learning_rate=2e-4",
        "eval.tasks=[nano_math,nano_facts]",
    ]
    for count in (1, 2):
        done = start(tmp_path / str(count), count, *asked)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("Train took") == 1, "the second process talks"
    adapters, items = (
        [next((tmp_path / count / "store").glob(pattern)) for count in ("1", "2")]
        for pattern in ("adapters/*/adapter_model.safetensors", "evaluations/*/items.parquet")
    )
    one, two = (torch.cat([t.flatten() for _, t in sorted(load_file(path).items())]) for path in adapters)
    assert float((one - two).norm() / one.norm()) < 1e-5
    assert items[0].read_bytes() == items[1].read_bytes()
    results = [json.loads((path.parent / "results.json").read_text()) for path in items]
    assert results[0] == results[1]
    for count in (1, 2):
        (record,) = (tmp_path / str(count) / "store" / "runs").glob("*/manifest.json")
        facts = json.loads(record.read_text())
        seconds = sum(facts["phase_seconds"][name] for name in ("select", "train", "evaluate"))
        assert facts["device_hours"] == pytest.approx(count * seconds / 3600, rel=1e-3)


def test_rank_0_adds_no_override_and_other_ranks_a_temporary_folder() -> None:
    with helper_overrides(Workers(0, 2)) as added:
        assert added == []
    with helper_overrides(Workers(1, 2)) as added:
        (folder,) = {
            Path(word.split("=")[1])
            for word in added
            if word.startswith(("hydra.run.dir", "hydra.sweep.dir"))
        }
        assert folder.is_dir()
    assert not folder.exists()


def test_the_errors_of_other_ranks_name_the_process() -> None:
    GlobalHydra.instance().clear()
    with helper_overrides(Workers(3, 4)) as added, initialize_config_module("nait.conf", version_base="1.3"):
        words = [word for word in added if word != "~hydra.callbacks.sweep"]
        logging = compose("run", overrides=words, return_hydra_config=True).hydra.job_logging
    GlobalHydra.instance().clear()
    assert list(logging.root.handlers) == ["console"]
    console = logging.handlers.console
    assert console.level == "ERROR"
    assert logging.formatters[console.formatter].format == "process 3: %(message)s"


def test_cores_are_divided_unless_the_threads_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)), raising=False)
    monkeypatch.setenv("TQDM_DISABLE", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    prepare_process(Workers(1, 4, 0, 2))
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    prepare_process(Workers(0, 1))
    assert "OMP_NUM_THREADS" not in os.environ
    prepare_process(Workers(2, 4, 0, 2))
    assert os.environ["OMP_NUM_THREADS"] == "4"


def test_what_one_process_does_alone_sees_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCHER:
        monkeypatch.setenv(name, "1")
    with without_launcher():
        assert not set(LAUNCHER) & set(os.environ)
    assert set(LAUNCHER) <= set(os.environ)


def test_a_second_process_waits_for_what_the_first_makes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    store = Store(tmp_path)
    assert main_process_store(store) is store
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(
        "time.sleep", lambda _: store.produce("things", {"a": 1}, lambda part: {"by": "first"})
    )
    made = main_process_store(store).produce("things", {"a": 1}, lambda part: {"by": "second"})
    assert made.manifest["by"] == "first"
    assert not made.fresh


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs prctl")
def test_a_process_of_torchrun_ends_with_it(tmp_path: Path) -> None:
    script = tmp_path / "process.py"
    script.write_text(
        "import os, time\n"
        "from nait.core.ranks import Workers\n"
        "from nait.runs.processes.launch import prepare_process\n"
        "prepare_process(Workers(1, 2))\n"
        "print(os.getpid(), flush=True)\n"
        "time.sleep(60)\n"
    )
    agent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}])"],
        env={**environment(), AGENT: "none"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert agent.stdout
    with agent:
        worker = int(agent.stdout.readline())
        agent.kill()
    for _ in range(100):
        try:
            state = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":  # ended, and not yet waited for
            return
        time.sleep(0.05)
    os.kill(worker, signal.SIGKILL)
    pytest.fail("the process outlives its launcher")
