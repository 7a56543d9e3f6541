"""`nait` in its own process, with its store and its runs in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any


def environment(folder: str, **more: str) -> dict[str, str]:
    """The variables of such a process."""
    return {**os.environ, "NAIT_STORE": f"{folder}/store", "NAIT_RUNS": f"{folder}/runs", **more}


def run_nait(folder: str, words: Sequence[str], **more: str) -> None:
    """Run `nait WORDS` in the folder; `more` are further variables. Raises: CalledProcessError if it fails."""
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "nait", *words]
    subprocess.run(command, check=True, env=environment(folder, **more), cwd=folder, **quiet)
