"""Where a number came from: versions, machine and git state."""

from __future__ import annotations

import platform
import subprocess
from copy import deepcopy
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "nait",
    "torch",
    "transformers",
    "peft",
    "lm_eval",
    "datasets",
    "tokenizers",
    "numpy",
    "hydra-core",
    "wandb",
)


def provenance() -> dict[str, Any]:
    """Package versions, Python, platform, and the git commit of the code (null when it is not a clone)."""
    return deepcopy(_at_start())


@cache
def _at_start() -> dict[str, Any]:
    """Asked once a process, whose code is that which it has loaded."""
    return {
        "versions": _versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "git": _git(),
    }


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _git() -> dict[str, Any] | None:
    here = Path(__file__).resolve().parents[1]

    def ask(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "dirty": bool(ask("status", "--porcelain", "--", str(here))),
        }
    except (OSError, subprocess.SubprocessError):
        return None
