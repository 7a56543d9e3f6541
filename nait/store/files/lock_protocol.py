"""The lock protocol of a file system: the system's own locks, or leases in files where those do not work.

Some network file systems accept a lock and exclude nobody, such as NFS mounted `nolock`. There a lock is a file that
its holder refreshes. Another process takes it over when it has not been refreshed for `LEASE_SECONDS`, or at once
when its holder was on the same machine and is dead.
"""

from __future__ import annotations

import logging
import os
import secrets
from functools import cache
from pathlib import Path
from typing import Literal

from nait.core.errors import StoreError

log = logging.getLogger("nait")

Protocol = Literal["flock", "lease"]
LEASE_SECONDS = 60.0
OVERRIDE = "NAIT_LOCKS"
"""An environment variable that names the protocol. All processes on a store must use the same."""
MOUNTS = Path("/proc/self/mountinfo")
LOCAL_ONLY = ("nolock", "local_lock=all", "local_lock=flock")
"""Mount options under which a lock excludes processes of this machine only."""


def protocol(folder: Path) -> Protocol:
    """The protocol for locks in a folder that exists. Raises: StoreError for an unknown `NAIT_LOCKS`."""
    given = os.environ.get(OVERRIDE, "")
    if given in ("flock", "lease"):
        return "flock" if given == "flock" else "lease"
    if given:
        raise StoreError(f"'{given}' is neither flock nor lease", where=OVERRIDE, fix="Unset it.")
    return _probed(folder.stat().st_dev, str(folder))


@cache
def _probed(_device: int, folder: str) -> Protocol:
    """The protocol of a file system, by its device number: probed once per process."""
    if not _excludes(Path(folder)):
        why = "locks have no effect on"
    elif _local_only(Path(folder)):
        why = "locks exclude only this machine's processes on"
    else:
        return "flock"
    log.warning(
        "%s the file system of %s. Processes lock its artifacts by files that they refresh.",
        why.capitalize(),
        folder,
    )
    return "lease"


def _excludes(folder: Path) -> bool:
    """Whether a lock that is held through one open file excludes another open file."""
    try:
        import fcntl
    except ImportError:  # Windows has locks of another kind, which filelock uses
        return True
    path = folder / f".lock-probe-{os.getpid()}-{secrets.token_hex(4)}"
    with path.open("w") as one:
        try:
            with path.open("w") as two:
                fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
                try:
                    fcntl.flock(two, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return True
                return False
        except OSError:  # the file system has no locks
            return False
        finally:
            path.unlink(missing_ok=True)


def _local_only(folder: Path, mounts: Path = MOUNTS) -> bool:
    """Whether the mount of a folder keeps locks on this machine."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    best, options = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        place = before.split()[4].replace("\\040", " ")
        inside = place == "/" or str(folder) == place or str(folder).startswith(place + "/")
        if inside and len(place) >= len(best):
            best, options = place, f"{before.split()[5]},{after.split()[-1]}" if after else ""
    return any(option in LOCAL_ONLY for option in options.split(","))
