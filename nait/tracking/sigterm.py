"""SIGTERM, turned into an exit that unwinds the stack while a job runs, or a tracker's run is open."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any, Self

EXIT_CODE = 128 + signal.SIGTERM


class Termination:
    """Takes SIGTERM and gives it back; as a context, for its body.

    By default SIGTERM ends a Python process on the spot: no `finally` runs, a pass cannot write what it has, and a
    tracker cannot close its log. It is taken only in the main thread, where Python allows it, and only where nobody
    else listens.
    """

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Self:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.give_back()

    def take(self) -> None:
        """From here on SIGTERM raises SystemExit."""
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, _leave)

    def give_back(self) -> None:
        """SIGTERM does what it did before, unless someone has taken it since."""
        if self._before is not None and signal.getsignal(signal.SIGTERM) is _leave:
            signal.signal(signal.SIGTERM, self._before)
        self._before = None


def _leave(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(EXIT_CODE)
