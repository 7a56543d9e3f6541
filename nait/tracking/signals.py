"""SIGTERM, turned into an exit that unwinds the stack while a run is open."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

EXIT_CODE = 128 + signal.SIGTERM


class Termination:
    """Takes SIGTERM and gives it back.

    By default SIGTERM ends a Python process on the spot: no `finally` runs, and a tracker cannot close its
    log. It is taken only in the main thread, where Python allows it, and only where nobody else listens.
    """

    def __init__(self) -> None:
        self._before: Any = None

    def take(self) -> None:
        """Nothing; from here on SIGTERM raises SystemExit."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _leave)

    def give_back(self) -> None:
        """Nothing; SIGTERM does what it did before, unless someone has taken it since."""
        if self._before is not None and signal.getsignal(signal.SIGTERM) is _leave:
            signal.signal(signal.SIGTERM, self._before)
        self._before = None


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(EXIT_CODE)
