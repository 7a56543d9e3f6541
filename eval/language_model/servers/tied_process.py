"""A child process that ends when its parent does, however the parent ends: a SIGKILL runs no `finally`.

As a program: `python tied_process.py PARENT COMMAND...` ties itself to the process PARENT and becomes COMMAND.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

_SIGNAL_AT_PARENTS_END = 1  # PR_SET_PDEATHSIG of Linux's prctl, which a new program keeps


def tied(command: Sequence[str]) -> list[str]:
    """The command, run so that it gets SIGTERM when this process ends. Other systems than Linux run it as it is."""
    if not sys.platform.startswith("linux"):
        return list(command)
    return [sys.executable, __file__, str(os.getpid()), *command]


def _become(parent: int, command: list[str]) -> None:
    ctypes.CDLL(None).prctl(_SIGNAL_AT_PARENTS_END, signal.SIGTERM)
    if os.getppid() == parent:  # otherwise it has ended already
        os.execv(command[0], command)  # noqa: S606  # no shell: the caller's own command


if __name__ == "__main__":
    _become(int(sys.argv[1]), sys.argv[2:])
