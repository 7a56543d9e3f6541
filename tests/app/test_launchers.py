"""Launchers of a sweep: SLURM's YAML composes, and a job that submitit started and something killed is resumed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from hydra import compose, initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra_plugins.nait import check_launcher

from nait.core.errors import ConfigError
from tests.app.commands import environment

needs_submitit = pytest.mark.skipif(
    importlib.util.find_spec("submitit") is None, reason="hydra-submitit-launcher is not installed"
)
needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="hydra-ray-launcher is not installed"
)
COMMAND = [
    "-m", "hydra/launcher=submitit_local", "selector=random", "seed=0,1", "data=nano_small", "budget.ratio=0.1",
    "train.epochs=2", "train.save_seconds=0", "eval.tasks=[nano_facts]", "eval.limit=20", "tracking=files",
]  # fmt: skip


@needs_submitit
def test_slurm_runs_one_job_of_an_array_for_each_job_of_the_sweep() -> None:
    GlobalHydra.instance().clear()
    with initialize_config_module("nait.conf", version_base="1.3"):
        config = compose("run", overrides=["hydra/launcher=slurm"], return_hydra_config=True)
    GlobalHydra.instance().clear()
    launcher = config.hydra.launcher
    assert launcher._target_.endswith("SlurmLauncher")
    assert launcher.additional_parameters == {"requeue": True}
    assert (launcher.gpus_per_node, launcher.array_parallelism, launcher.name) == (1, 8, "nait")


def test_a_launcher_that_can_run_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    slurm = {"_target_": "hydra_plugins.hydra_submitit_launcher.submitit_launcher.SlurmLauncher"}
    monkeypatch.setattr("hydra_plugins.nait.which", lambda _: None)
    with pytest.raises(
        ConfigError, match=r"hydra/launcher: there is no SLURM here: srun is not found.*joblib"
    ):
        check_launcher(slurm)
    check_launcher({"_target_": slurm["_target_"].replace("Slurm", "Local")})
    monkeypatch.setattr("hydra_plugins.nait.which", lambda _: "/usr/bin/srun")
    check_launcher(slurm)
    joblib = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    with pytest.raises(ConfigError, match=r"hydra\.launcher\.n_jobs: 0 processes run no job"):
        check_launcher({"_target_": joblib, "n_jobs": 0})
    check_launcher({"_target_": joblib, "n_jobs": -1})


@needs_submitit
@pytest.mark.slow
def test_a_job_of_submitit_that_is_killed_resumes_with_the_same_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "nait", *COMMAND]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True
    ) as sweep:
        for job in _jobs_that_train(sweep.pid, tmp_path / "store"):
            job.kill()
        sweep.communicate(timeout=200)
    assert sweep.returncode != 0, "the killed job is not reported"
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr
    manifests = [
        json.loads(path.read_text()) for path in (tmp_path / "store/adapters").glob("*/manifest.json")
    ]
    assert len(manifests) == 2
    assert max(one.get("earlier_seconds", 0) for one in manifests) > 0, "the killed training began anew"


def _jobs_that_train(sweep: int, store: Path) -> list[psutil.Process]:
    """The processes of the jobs, once one of them has written a checkpoint."""
    for _ in range(1500):
        if any(store.glob("adapters/*.part/checkpoints/checkpoint-*/trainer_state.json")):
            children = psutil.Process(sweep).children(recursive=True)
            return [one for one in children if "submitit" in " ".join(one.cmdline()) and not one.children()]
        time.sleep(0.1)
    raise AssertionError("no job has begun to train")


@needs_ray
@pytest.mark.slow
def test_a_local_ray_of_two_cpus_runs_four_jobs(tmp_path: Path) -> None:
    command = [
        "hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.remote.num_cpus=1",
        "selector=random,length", *COMMAND[3:],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "nait", "-m", *command], cwd=tmp_path, env=environment(), capture_output=True,
        text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "store/adapters").glob("*/manifest.json"))) == 4
    assert "minus random" in done.stdout
