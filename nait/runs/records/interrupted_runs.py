"""Interrupted runs: the process of a run, and runs whose process ended without a word, such as by SIGKILL.

`run.json` says "running" until its process writes another status. A killed process writes none: the next job, or
`nait show`, finds its run and writes "interrupted".
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.store import write_json

RUN = "run.json"
RUNNING, INTERRUPTED = "running", "interrupted"
BOOT = Path("/proc/sys/kernel/random/boot_id")
START = f'{{\n  "status": "{RUNNING}"'
"""The first characters of the record of a run that has not ended."""


def this_process() -> dict[str, Any]:
    """Machine, number and birth of this process, for the record of its run."""
    return {"host": socket.gethostname(), "pid": os.getpid(), "born": _born(os.getpid())}


def _born(pid: int) -> str | None:
    """When a process of this machine started: the boot and the clock ticks since; None where Linux does not say."""
    try:
        ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        return f"{BOOT.read_text().strip()}:{ticks}"
    except (OSError, IndexError):
        return None


def has_ended(process: Any) -> bool:
    """Whether a recorded process has ended. One of another machine, or without a record, may be running."""
    if not isinstance(process, Mapping) or process.get("host") != socket.gethostname():
        return False
    pid, born = process.get("pid"), process.get("born")
    if not isinstance(pid, int) or pid <= 0:
        return False
    if born:
        return bool(_born(pid) != born)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def settle(folder: Path) -> None:
    """Write "interrupted" into the record of a run that was killed. A record that cannot be written stays."""
    with contextlib.suppress(OSError, ValueError, RecursionError, TypeError, KeyError, OverflowError):
        path = folder / RUN
        if not path.is_file():  # a pipe would block every job
            return
        with path.open(encoding="utf-8") as stream:
            if stream.read(len(START)) != START:
                return
        record = json.loads(path.read_text(encoding="utf-8"))
        if record["status"] == RUNNING and has_ended(record.get("process")):
            write_json(path, {**record, "status": INTERRUPTED})


def settle_all(runs: Path) -> None:
    """Settle every run under `paths.runs`: DAY/TIME of a job, DAY/TIME/NUMBER of a sweep's job."""
    with contextlib.suppress(OSError):
        for pattern in ("*/*", "*/*/*"):
            for path in runs.glob(f"{pattern}/{RUN}"):
                settle(path.parent)
