"""Locks: one process writes an artifact; the others wait, say for whom, and may give up.

The lock file says who holds it. It is removed when the lock is released; a waiter that held the removed file's lock
tries again, so two processes never hold one lock.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

from nait.core.errors import StoreError
from nait.store.files.lock_protocol import LEASE_SECONDS, protocol

log = logging.getLogger("nait")

NOTICE_SECONDS = 10.0
"""Seconds after which a waiting process says what it waits for."""


def lock_at(path: Path) -> FileLock | SoftFileLease:
    """A lock whose file says which process holds it and since when, by the protocol of its file system."""
    if protocol(path.parent) == "lease":
        # Another thread refreshes it, and may have to release it.
        return SoftFileLease(path, lease_duration=LEASE_SECONDS, thread_local=False)
    return FileLock(path, on_acquired=_sign)


def _sign(handle: int) -> None:
    note = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "since": f"since {datetime.now(UTC).isoformat(timespec='seconds')}",
    }
    with contextlib.suppress(OSError):  # a note is not worth a failed job
        os.ftruncate(handle, 0)
        os.pwrite(handle, json.dumps(note).encode(), 0)


def release(lock: FileLock | SoftFileLease) -> None:
    """Remove the lock's file and release the lock."""
    if isinstance(lock, SoftFileLease):
        lock.release()
        return
    with contextlib.suppress(OSError):  # another system may refuse to remove an open file
        Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()


@contextlib.contextmanager
def locked(path: Path, *, limit: float | None = None) -> Iterator[None]:
    """Hold the lock at `path` within the block. A process that waits for long says who holds it.

    Raises: StoreError after `limit` seconds of waiting (None: never); OSError when the lock file cannot be made.
    """
    lock = lock_at(path)
    _acquire(lock, path, limit=limit)
    try:
        yield
    finally:
        release(lock)


@contextlib.contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` within the block if no other process holds it. Yields whether it does."""
    lock = lock_at(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        release(lock)


def _acquire(lock: FileLock | SoftFileLease, path: Path, *, limit: float | None) -> None:
    started, said = time.monotonic(), False
    while True:
        left = None if limit is None else limit - (time.monotonic() - started)
        try:
            lock.acquire(timeout=NOTICE_SECONDS if left is None else max(0.0, min(NOTICE_SECONDS, left)))
        except Timeout:
            if left is not None and left <= NOTICE_SECONDS:
                raise StoreError(
                    f"is written by {holder(path)}; this process waited {limit:g} s for it",
                    where=str(path.with_suffix("")),
                    fix="Wait for that process, or raise store.wait_seconds.",
                ) from None
            if not said:
                log.info("Waiting for %s, which %s writes.", path.with_suffix(""), holder(path))
                said = True
        else:
            return


def holder(path: Path) -> str:
    """The process that holds a lock, in words."""
    try:
        text = path.read_text(encoding="utf-8")
        note = json.loads(text) if text.startswith("{") else _of_lease(path, text)
        return f"process {note['pid']} on {note['host']} ({note['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _of_lease(path: Path, text: str) -> dict[str, str]:
    """Process, machine and time of a lease, whose record has a line `name=value` for each fact."""
    facts = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    refreshed = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="seconds")
    return {**facts, "since": f"last sign of life {refreshed}"}
