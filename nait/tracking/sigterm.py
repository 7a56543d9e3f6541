"""SIGTERM as SystemExit, so that the stack unwinds while a job runs or a tracker's run is open."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

EXIT_CODE = 128 + signal.SIGTERM


class Termination:
    """Handler of SIGTERM, installed by `install` and removed by `restore`; also a context manager.

    By default SIGTERM ends a Python process at once: no `finally` runs, a pass cannot store its rows, and a tracker
    cannot close its log. The handler is installed only in the main thread, as Python requires, and only when SIGTERM
    has no other handler.
    """

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        self.restore()

    def install(self) -> None:
        """Install the handler: SIGTERM raises SystemExit."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _exit)

    def restore(self) -> None:
        """Restore the previous handler, unless another one was installed since."""
        if self._before is not None and signal.getsignal(signal.SIGTERM) is _exit:
            signal.signal(signal.SIGTERM, self._before)
        self._before = None


def _exit(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(EXIT_CODE)
