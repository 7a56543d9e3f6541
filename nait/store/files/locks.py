"""Locks: one process writes an artifact; the others wait, say for whom, and may give up.

The lock file says who holds it. It is removed when the lock is released; a waiter that held the removed file's lock
tries again, so two processes never hold one lock.

A lease that its holder does not refresh is taken over by filelock, except where the file system cannot swap two names
(NFS), where the file is empty, and by a waiter that makes a new lock for each attempt. In these cases the waiter
removes the file. A holder that was only suspended sees this before it completes its artifact.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, SoftFileLease, Timeout

from nait.core.errors import StoreError
from nait.store.files.lock_protocol import LEASE_SECONDS, protocol

log = logging.getLogger("nait")

NOTICE_SECONDS = 10.0
"""Seconds after which a waiting process says what it waits for."""

_unchanged: dict[Path, tuple[tuple[int, int], float]] = {}
"""The last known state of each lease that this process waits for, and when it was first seen."""


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
def locked(path: Path, *, limit: float | None = None) -> Iterator[Callable[[], None]]:
    """Hold the lock at `path` within the block. A process that waits for long says who holds it.

    Yields a check that raises StoreError if another process has taken the lock over.

    Raises: StoreError after `limit` seconds of waiting (None: never); OSError when the lock file cannot be made.
    """
    lock = lock_at(path)
    _acquire(lock, path, limit=limit)
    try:
        yield lambda: _check_held(lock, path)
    finally:
        release(lock)


def _check_held(lock: FileLock | SoftFileLease, path: Path) -> None:
    """Raises: StoreError if another process has taken over a lease."""
    if not isinstance(lock, SoftFileLease):
        return
    owner = lock.owner
    if owner is None or owner.token != lock.token:
        raise StoreError(
            f"was taken over by another process: this one gave no sign of life for {LEASE_SECONDS:g} s",
            where=str(path.with_suffix("")),
            fix="Run the same command again; it uses what the other process writes.",
        )


@contextlib.contextmanager
def if_free(path: Path) -> Iterator[bool]:
    """Hold the lock at `path` within the block if no other process holds it. Yields whether it does."""
    lock = lock_at(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        _remove_if_silent(lock, path)  # for the next attempt
        yield False
        return
    _unchanged.pop(path, None)
    try:
        yield True
    finally:
        release(lock)


def _acquire(lock: FileLock | SoftFileLease, path: Path, *, limit: float | None) -> None:
    started, said = time.monotonic(), False
    while True:
        left = None if limit is None else limit - (time.monotonic() - started)
        _remove_if_silent(lock, path)
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
            _unchanged.pop(path, None)
            return


def _remove_if_silent(lock: FileLock | SoftFileLease, path: Path) -> None:
    """Remove the file of a lease that this process has seen unchanged for `LEASE_SECONDS`.

    The file is moved aside first: one that another process has put there meanwhile is put back.
    """
    state = _state(path) if isinstance(lock, SoftFileLease) else None
    if state is None:
        _unchanged.pop(path, None)
        return
    seen, since = _unchanged.setdefault(path, (state, time.monotonic()))
    if seen != state:
        _unchanged[path] = (state, time.monotonic())
    elif time.monotonic() - since >= LEASE_SECONDS:
        aside = path.with_name(f"{path.name}.{secrets.token_hex(8)}.lock")
        with contextlib.suppress(OSError):  # another process was first
            path.rename(aside)
            if _state(aside) != state:
                os.link(aside, path)
            else:
                note = "%s gave no sign of life for %g s. This process takes over its lock of %s."
                log.warning(note, holder(aside).capitalize(), LEASE_SECONDS, path.with_suffix(""))
        aside.unlink(missing_ok=True)


def _state(path: Path) -> tuple[int, int] | None:
    """The number and time of a lock file; None without one. A file that was opened has no cached facts on NFS."""
    try:
        with path.open("rb") as file:
            facts = os.fstat(file.fileno())
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


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
