"""Provenance: package versions, machine and git state."""

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
    """Package versions, Python, platform, and the git commit of the code (null outside a clone)."""
    return deepcopy(_at_start())


@cache
def _at_start() -> dict[str, Any]:
    """The provenance at the first call: the state of the code that this process has loaded."""
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

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()  # noqa: S603

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--", str(here))),
        }
    except (OSError, subprocess.SubprocessError):
        return None
