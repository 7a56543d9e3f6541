"""`nait` with a fault in a system call. Arguments: the folder, the fault, the file of seen calls, then the words."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from tests.faults.system_calls import Plan, supervise

root, fault, seen, *words = sys.argv[1:]
supervise(Plan(Path(root), fault, Path(seen)))  # type: ignore[arg-type]
sys.argv = ["nait", *words]
runpy.run_module("nait", run_name="__main__", alter_sys=True)
