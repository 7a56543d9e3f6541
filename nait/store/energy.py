"""Energy: watt-hours used by this machine's devices, where they have counters; null where none has.

NVIDIA GPUs count millijoules (NVML, with the extra `energy`), CPU packages microjoules (Linux powercap, which only
root may read on most machines). Both count the WHOLE device or package, including idle power and
other jobs. Memory, disks and fans are not counted.
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
POLL_SECONDS = 60.0
"""The polling interval of the counters: a CPU package's wraps around after about half an hour under load."""
JOULES_PER_WH = 3600.0
_PACKAGE = re.compile(
    r"intel-rapl:\d+"
)  # AMD processors use this name too; intel-rapl:0:1 is a part of a package


@dataclass(frozen=True)
class Counter:
    """A device's energy counter in joules. It wraps around to 0 at `limit`; None: never.

    `read` raises OSError or ValueError when the counter cannot be read.
    """

    name: str
    read: Callable[[], float]
    limit: float | None = None


class Gauge:
    """Joules of several counters since the gauge was created. Counters that cannot be read are left out."""

    def __init__(self, counters: Iterable[Counter]) -> None:
        self._last: dict[Counter, float] = {}
        self._sum = 0.0
        self._lock = threading.Lock()
        for counter in counters:
            with suppress(OSError, ValueError):
                self._last[counter] = counter.read()
        if any(counter.limit is not None for counter in self._last):
            threading.Thread(target=self._poll, daemon=True).start()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the counted devices."""
        return tuple(counter.name for counter in self._last)

    def joules(self) -> float | None:
        """Joules of all counters; None without a counter, or once one of them cannot be read."""
        with self._lock:
            try:
                for counter, before in self._last.items():
                    now = counter.read()
                    self._sum += now - before + (counter.limit or 0.0) * (now < before)
                    self._last[counter] = now
            except (OSError, ValueError):
                self._last = {}
            return self._sum if self._last else None

    def watt_hours(self, since: float | None) -> float | None:
        """Watt-hours since `joules` returned `since`; None when either reading is unknown."""
        now = self.joules()
        return None if since is None or now is None else (now - since) / JOULES_PER_WH

    def _poll(self) -> None:
        while self.joules() is not None:
            time.sleep(POLL_SECONDS)


@lru_cache(maxsize=1)
def gauge() -> Gauge:
    """The gauge of this process, with all counters of the machine."""
    return Gauge([*packages(POWERCAP), *devices(_nvml(), os.environ.get("CUDA_VISIBLE_DEVICES"))])


def packages(powercap: Path) -> list[Counter]:
    """The counters of the CPU packages under a powercap folder."""
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        with suppress(OSError, ValueError):
            name = (folder / "name").read_text().strip()
            if _PACKAGE.fullmatch(folder.name) and name.startswith("package"):
                limit = int((folder / "max_energy_range_uj").read_text()) / 1e6
                found.append(Counter(f"CPU {name}", _file(folder / "energy_uj"), limit))
    return found


def _file(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) / 1e6


def _nvml() -> ModuleType | None:
    """NVIDIA's bindings, initialised; None without the package or the driver."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an older package of the same name warns at import
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
    """The counters of NVIDIA GPUs: those in `visible` (CUDA_VISIBLE_DEVICES), or all for None."""
    if nvml is None:
        return []
    found: list[Counter] = []
    try:
        names = range(nvml.nvmlDeviceGetCount()) if visible is None else _visible_devices(visible)
        for name in names:
            by = nvml.nvmlDeviceGetHandleByIndex if isinstance(name, int) else nvml.nvmlDeviceGetHandleByUUID
            handle = by(name)
            found.append(Counter(str(nvml.nvmlDeviceGetName(handle)), _device(nvml, handle)))
    except nvml.NVMLError:
        return []  # a partial sum would look complete
    return found


def _visible_devices(visible: str) -> Sequence[int | str]:
    """The devices in CUDA_VISIBLE_DEVICES, by index or UUID. Like CUDA, stops at the first invalid one."""
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
