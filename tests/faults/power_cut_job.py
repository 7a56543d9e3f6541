"""`nait` with a power cut. Arguments: the store, the number of the last sync, the kind of cut, then the words.

A job that ends before the cut writes the number of its syncs to `STORE.syncs`.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from tests.power_cuts import Disk, PowerCut

ENDED = 9
store, at, cut, *words = sys.argv[1:]
disk = Disk(Path(store), cut_at=int(at))


def fsync(handle: int) -> None:
    """Ends the process at the chosen sync, with what the disk holds then."""
    try:
        disk.synced(handle)
    except PowerCut:
        disk.restore(cut)  # type: ignore[arg-type]
        os._exit(ENDED)


os.fsync = fsync  # type: ignore[assignment]
sys.argv = ["nait", *words]
try:
    runpy.run_module("nait", run_name="__main__", alter_sys=True)
finally:
    Path(f"{store}.syncs").write_text(str(disk.syncs))
