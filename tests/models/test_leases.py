"""Laws of GPU leases: jobs side by side use different GPUs, a further job waits, a dead job's GPU is free at once."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nait.core.errors import ConfigError
from nait.models.devices import leases
from nait.models.devices.leases import check_present, host_folder, lease, leased_device
from nait.models.loading import LocalModel
from nait.runs.processes.launch import devices_to_lease
from nait.signals.passes.options import Engine
from tests.families import save

HOLDER = """
import sys, time
from pathlib import Path
from nait.models.devices.leases import lease
with lease([0, 1], folder=Path(sys.argv[1])) as number:
    print(number, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(leases, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(leases, "_last", [])
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return


def test_jobs_side_by_side_have_different_gpus_and_the_next_waits(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="nait")
    found: list[int | None] = []

    def ninth() -> None:
        with lease([*range(8)], folder=tmp_path) as number:
            found.append(number)

    with ExitStack() as held:
        numbers = [held.enter_context(lease([*range(8)], folder=tmp_path)) for _ in range(8)]
        assert sorted(n for n in numbers if n is not None) == [*range(8)]
        waiting = threading.Thread(target=ninth)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        assert caplog.messages == ["All 8 GPUs are leased by other jobs. This job waits."]
    waiting.join(10)
    assert len(found) == 1


def test_the_gpu_of_a_killed_job_is_free_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "0\n"
        with lease([0, 1], folder=tmp_path) as number:
            assert number == 1
        holder.kill()
    leases._last.clear()
    with lease([0, 1], folder=tmp_path) as number:
        assert number == 0


def test_a_process_gets_the_gpu_that_it_had_last(tmp_path: Path) -> None:
    with lease([0], folder=tmp_path / "other"):
        pass
    with lease([2], folder=tmp_path):
        pass
    with lease([0, 1, 2], folder=tmp_path) as number:
        assert number == leased_device() == 2
    assert leased_device() is None


def test_one_gpu_has_one_lock_however_it_is_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")
    with lease([1], folder=tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == ["3.lock"]


def test_without_gpus_nothing_is_leased(tmp_path: Path) -> None:
    with lease("auto", folder=tmp_path) as number:
        assert number is None or torch.cuda.is_available()
    with lease(None, folder=tmp_path) as number:
        assert number is None


@pytest.mark.parametrize("devices", [[], [0, 0], [-1], "all", [True], ["0"]])
def test_a_value_that_is_not_a_list_of_gpus_is_refused(devices: Any) -> None:
    with pytest.raises(ConfigError, match=r"engine\.devices: .* is not a list of GPU numbers"):
        Engine(devices=devices)


def test_a_gpu_that_this_machine_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "gpu_count", lambda: 2)
    for present in ([0, 1], "auto", None):
        check_present(present)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"engine\.devices: there is no GPU 7 here: 2 are visible.*null"):
        check_present([0, 7])


def test_a_user_without_a_name_has_a_folder_of_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 1234")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert host_folder().name == f"nait-devices-{os.getuid()}"


def test_a_model_is_opened_on_the_leased_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LocalModel(str(save(tmp_path)), max_length=128)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with lease([3], folder=tmp_path):
        assert model.torch_device() == "cuda:3"
    assert model.torch_device() == "cuda"


def test_a_named_device_and_a_launcher_take_no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    def model(**options: Any) -> Any:
        return SimpleNamespace(**options)

    assert devices_to_lease(model(device="auto"), [0, 1]) == [0, 1]
    assert devices_to_lease(model(device="cpu"), [0, 1]) is None
    assert devices_to_lease(model(device="cuda", device_map="auto"), [0, 1]) is None
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    assert devices_to_lease(model(device="auto"), [0, 1]) is None
