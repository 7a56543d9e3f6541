"""Generated programs, each run in a process of its own with limits on time, memory, processes, files and network."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nait.core.errors import ConfigError
from nait.eval.code_execution.kernel_filter import kernel_filter

PASSED, TIMED_OUT = "passed", "timed out"
_CHILD = Path(__file__).with_name("child.py")
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "LC_ALL": "C.UTF-8",
}
_START_SECONDS = 60.0
_MOST_REPORT = 8192
"""Bytes of a process's report that are read."""


@dataclass(frozen=True)
class Limits:
    """Limits of one program.

    - `seconds`: of CPU time. `code_eval` limits elapsed time to 3 s; CPU time does not depend on the machine's load.
    - `wall`: seconds after which a program that waits is ended.
    - `memory`: bytes of address space.
    """

    seconds: int = 3
    wall: float = 30.0
    memory: int = 1024**3


@dataclass(frozen=True)
class Outcome:
    """`message` is `passed`, `timed out`, or `failed: ` and the reason. `isolation`: see `isolation_text`."""

    message: str
    isolation: str

    @property
    def passed(self) -> bool:
        """Whether the whole program ran without an error."""
        return self.message == PASSED


def run_programs(programs: Sequence[str], limits: Limits | None = None) -> list[Outcome]:
    """The outcome of each program. Equal programs run once; as many run at a time as there are processors.

    Raises: ConfigError if the system lacks the limits, or if a process for a program does not start.
    """
    if sys.platform == "win32":
        raise ConfigError(
            "this system cannot limit a process", where="eval.allow_code_execution", fix="Use Linux or macOS."
        )
    distinct = list(dict.fromkeys(programs))
    with (
        tempfile.TemporaryDirectory(prefix="nait-code-") as folder,
        ThreadPoolExecutor(_processors()) as pool,
    ):
        outcomes = pool.map(lambda program: _run(program, limits or Limits(), folder), distinct)
        found = dict(zip(distinct, outcomes, strict=True))
    return [found[program] for program in programs]


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _run(program: str, limits: Limits, folder: str) -> Outcome:
    """Run one program in a session of its own. None of its processes is left afterwards."""
    secret = secrets.token_hex(16)
    job = {
        "program": program, "secret": secret, "folder": folder, "seconds": limits.seconds,
        "memory": limits.memory, "filter": kernel_filter().hex(),
    }  # fmt: skip
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb", buffering=0) as report:
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-s", str(_CHILD), str(writer)], stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(writer,), env=_ENVIRONMENT,
                start_new_session=True, cwd=folder,
            )  # fmt: skip
        finally:
            os.close(writer)
        try:
            _send(process, job)
            lines = _Lines(report.fileno())
            granted = lines.read(_START_SECONDS)
            message = _verdict(process, lines, secret, limits.wall) if granted else ""
        finally:
            _end(process)
    if not granted:
        raise ConfigError(
            f"a process for a generated program ends before it starts (status {process.returncode})",
            where="eval.allow_code_execution",
            fix="Leave out the tasks that run generated code.",
        )
    return Outcome(message, isolation_text(json.loads(granted)))


def _send(process: subprocess.Popen[bytes], job: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError), process.stdin as stream:  # the caller reports an early end
        stream.write(json.dumps(job).encode())


class _Lines:
    """Lines of a process's report, read with a deadline. `open`: the process may still write."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.held = b""
        self.total = 0
        self.open = True

    def read(self, seconds: float) -> bytes:
        """The next line; empty if there is none in this time, or if the process ended or wrote too much."""
        deadline = time.monotonic() + seconds
        while self.open and b"\n" not in self.held and self.total < _MOST_REPORT:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.descriptor], [], [], left)[0]:
                return b""
            part = os.read(self.descriptor, _MOST_REPORT)
            self.open = bool(part)
            self.held += part
            self.total += len(part)
        line, end, self.held = self.held.partition(b"\n")
        return line if end else b""


def _verdict(process: subprocess.Popen[bytes], lines: _Lines, secret: str, seconds: float) -> str:
    """The message of a program: of its report, or of how its process ended without one."""
    line = lines.read(seconds)
    if line or lines.total >= _MOST_REPORT:
        return _reported(line, secret) or "failed: the program wrote to its report"
    return TIMED_OUT if lines.open else _ending(process)


def _reported(line: bytes, secret: str) -> str:
    """The message in a report with the job's secret, or an empty text."""
    try:
        known, message = json.loads(line)
    except (ValueError, TypeError):
        return ""
    return str(message) if known == secret else ""


def _ending(process: subprocess.Popen[bytes]) -> str:
    """The message of a process that closed its report: ended by a limit, ended by itself, or not ended."""
    try:
        status = process.wait(timeout=1.0)
    except subprocess.TimeoutExpired:
        return TIMED_OUT
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return TIMED_OUT
    reason = f"signal {-status}" if status < 0 else f"status {status}"
    return f"failed: the process ended with {reason} before the end of the program"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and everything in its session."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


FULL = "empty network namespace, kernel filter"
"""The isolation text of a system that grants everything."""


def isolation_text(granted: dict[str, bool]) -> str:
    """How the system keeps a program from the network and from other processes."""
    network = "empty network namespace" if granted["namespace"] else "refused socket calls"
    return f"{network}, {'kernel filter' if granted['filter'] else 'audit hook only'}"
