"""Leases of GPUs: jobs that run side by side on one machine use different GPUs, and wait while none is free.

A lease is a file lock. The system releases it when its process ends, however it ends.
"""

from __future__ import annotations

import getpass
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from nait.core.errors import ConfigError

log = logging.getLogger("nait")

AUTO: Literal["auto"] = "auto"
Devices = Sequence[int] | Literal["auto"] | None
DRIVERS = ("/dev/nvidiactl", "/dev/kfd")
"""A machine with NVIDIA or AMD GPUs has one of these."""
POLL_SECONDS = 0.5
"""The interval at which a job that waits looks for a free GPU."""

_leased: list[int] = []
"""The GPU that this process has leased: one or none."""
_last: list[int] = []
"""The GPU that this process leased last, where its network may still be open."""


def leased_device() -> int | None:
    """The number of the GPU that this process has leased; None without a lease."""
    return _leased[-1] if _leased else None


def host_folder() -> Path:
    """The folder of this user's locks on this machine. It is not in a store, which several machines may share."""
    return Path(tempfile.gettempdir()) / f"nait-devices-{_user()}"


def _user() -> str:
    """The user's name, or number where it has no name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def check_devices(devices: object) -> None:
    """Raises: ConfigError unless the value is auto, null or a list of different GPU numbers."""
    if devices is None or devices == AUTO:
        return
    listed = list(devices) if isinstance(devices, Sequence) and not isinstance(devices, str) else []
    whole = all(isinstance(n, int) and not isinstance(n, bool) for n in listed)
    if not listed or not whole or min(listed) < 0 or len({*listed}) != len(listed):
        raise ConfigError(
            f"{devices} is not a list of GPU numbers",
            where="engine.devices",
            fix="For example engine.devices=[0,1], auto for all visible GPUs, or null for no lease.",
        )


def check_present(devices: Devices) -> None:
    """Raises: ConfigError for a GPU number that this machine lacks."""
    if devices is None or devices == AUTO:
        return
    count = gpu_count()
    absent = [n for n in devices if n >= count]
    if absent:
        raise ConfigError(
            f"there is no GPU {absent[0]} here: {count} are visible",
            where="engine.devices",
            fix="Number them from 0 among the visible ones, or set auto for all of them, or null for no lease.",
        )


@contextmanager
def lease(devices: Devices, *, folder: Path | None = None) -> Iterator[int | None]:
    """The number of a GPU that no other job has while the block runs; None without GPUs or with `devices=None`.

    Waits while all are leased. The GPU that this process had last comes first, since its network may still be open.
    """
    numbers = _visible(devices)
    if not numbers:
        yield None
        return
    folder = folder or host_folder()
    folder.mkdir(parents=True, exist_ok=True)
    number, lock = _wait([*[n for n in _last if n in numbers], *numbers], folder)
    _leased.append(number)
    _last[:] = [number]
    try:
        yield number
    finally:
        _leased.pop()
        lock.release()


def _visible(devices: Devices) -> list[int]:
    """The numbers of the GPUs to choose from: all visible ones for `auto`."""
    if devices is None:
        return []
    return [int(n) for n in devices] if devices != AUTO else [*range(gpu_count())]


def gpu_count() -> int:
    """The number of visible GPUs."""
    if os.name == "posix" and not any(Path(driver).exists() for driver in DRIVERS):
        return 0  # without an import of torch, which a job that the store answers does not need
    import torch

    return int(torch.cuda.device_count())


def _wait(numbers: Sequence[int], folder: Path) -> tuple[int, FileLock]:
    said = False
    while True:
        for number in numbers:
            lock = FileLock(folder / f"{name_on_machine(number)}.lock", timeout=0)
            try:
                lock.acquire()
            except Timeout:
                continue
            return number, lock
        if not said:
            log.info("All %d GPUs are leased by other jobs. This job waits.", len({*numbers}))
            said = True
        time.sleep(POLL_SECONDS)


def name_on_machine(number: int) -> str:
    """The name of a visible GPU on this machine, which CUDA_VISIBLE_DEVICES renumbers."""
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return visible[number] if number < len(visible) else str(number)
