"""Energy: watt-hours that this machine's devices have used, where they tell; null where none does.

NVIDIA's devices count millijoules (NVML, with the extra `energy`), a CPU package microjoules (Linux powercap, which
root alone may read on most machines). Both count the WHOLE device or package: idle draw and other jobs' work too.
Memory, disks and fans are not in it.
"""

from __future__ import annotations

import os
import re
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

POWERCAP = Path("/sys/class/powercap")
LOOK_SECONDS = 60.0
"""Between two looks at the counters: a package's starts again from 0 after about half an hour of hard work."""
JOULES_PER_WH = 3600.0
_PACKAGE = re.compile(r"intel-rapl:\d+")  # so called on AMD's processors too; intel-rapl:0:1 is a part of one


@dataclass(frozen=True)
class Counter:
    """Joules that one device has used since some start. `turn`: where it begins again from 0; None: never.

    `read` raises OSError or ValueError where the device does not tell.
    """

    name: str
    read: Callable[[], float]
    turn: float | None = None


class Gauge:
    """Joules of several counters since the gauge was made; those that cannot be read now are left out."""

    def __init__(self, counters: Iterable[Counter]) -> None:
        self._last: dict[Counter, float] = {}
        self._sum = 0.0
        self._lock = threading.Lock()
        for counter in counters:
            with suppress(OSError, ValueError):
                self._last[counter] = counter.read()
        if any(counter.turn is not None for counter in self._last):
            threading.Thread(target=self._look, daemon=True).start()

    @property
    def names(self) -> tuple[str, ...]:
        """What is counted."""
        return tuple(counter.name for counter in self._last)

    def joules(self) -> float | None:
        """The sum; None without a counter, and once one of them has stopped telling."""
        with self._lock:
            try:
                for counter, before in self._last.items():
                    now = counter.read()
                    self._sum += now - before + (counter.turn or 0.0) * (now < before)
                    self._last[counter] = now
            except (OSError, ValueError):
                self._last = {}
            return self._sum if self._last else None

    def watt_hours(self, since: float | None) -> float | None:
        """What was used since `joules` gave this number; None where it, or now, is unknown."""
        now = self.joules()
        return None if since is None or now is None else (now - since) / JOULES_PER_WH

    def _look(self) -> None:
        while self.joules() is not None:
            time.sleep(LOOK_SECONDS)


@lru_cache(maxsize=1)
def gauge() -> Gauge:
    """This process's gauge, of all that the machine tells."""
    return Gauge([*packages(POWERCAP), *devices(_nvml(), os.environ.get("CUDA_VISIBLE_DEVICES"))])


def packages(powercap: Path) -> list[Counter]:
    """The counters of the CPU packages under a powercap folder."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text().strip()
            if _PACKAGE.fullmatch(folder.name) and name.startswith("package"):
                turn = int((folder / "max_energy_range_uj").read_text()) / 1e6
                found.append(Counter(f"CPU {name}", _file(folder / "energy_uj"), turn))
    return found


def _file(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) / 1e6


def _nvml() -> ModuleType | None:
    """NVIDIA's bindings, ready to be asked; None without them or without its driver."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an older package of the same name says so at its import
            import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    module: ModuleType = pynvml
    return module


def devices(nvml: Any, visible: str | None) -> list[Counter]:
    """The counters of NVIDIA's devices: those that `visible` (CUDA_VISIBLE_DEVICES) names, all where it is None."""
    if nvml is None:
        return []
    found: list[Counter] = []
    try:
        names = range(nvml.nvmlDeviceGetCount()) if visible is None else _named(visible)
        for name in names:
            by = nvml.nvmlDeviceGetHandleByIndex if isinstance(name, int) else nvml.nvmlDeviceGetHandleByUUID
            handle = by(name)
            found.append(Counter(str(nvml.nvmlDeviceGetName(handle)), _device(nvml, handle)))
    except nvml.NVMLError:
        return []  # a part of the devices would pass for all of them
    return found


def _named(visible: str) -> Sequence[int | str]:
    """The devices of that variable, by number or by name; CUDA reads it up to the first that is none."""
    found: list[int | str] = []
    for word in visible.replace(" ", "").split(","):
        if not re.fullmatch(r"\d+|(GPU|MIG)-.+", word):
            break
        found.append(int(word) if word.isdecimal() else word)
    return found


def _device(nvml: Any, handle: Any) -> Callable[[], float]:
    def read() -> float:
        try:
            return int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1e3
        except nvml.NVMLError as error:
            raise OSError(str(error)) from error

    return read
