"""`nait doctor`: what this machine and this folder offer, and what is in the way."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import typer

from nait.core.inputs.visible_text import visible_line

PACKAGES = (
    "nait", "torch", "transformers", "datasets", "peft", "lm_eval", "hydra-core", "numpy", "pyarrow", "wandb",
)  # fmt: skip
OFFLINE = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
FEW_BYTES = 2 * 10**9
"""Less free space than this is a problem."""
Line = tuple[str, str, str]
"""Name, finding, and the fix of a problem ("" without a problem)."""


def doctor(
    store: str | None = typer.Option(None, "--store", metavar="FOLDER", help="The store."),
) -> Callable[[], None]:
    """Check Python, packages, devices, disk, the store's locks and the network's settings."""

    def work() -> None:
        lines = [
            *_software(),
            *_devices(),
            *_disk(Path(store or os.environ.get("NAIT_STORE", "store"))),
            *_network(),
        ]
        width = max(len(name) for name, _, _ in lines)
        for name, finding, fix in lines:
            print(f"{'!' if fix else ' '} {name:<{width}}  {visible_line(finding)}")
            if fix:
                print(f"  {'':<{width}}  {visible_line(fix)}")
        problems = sum(bool(fix) for _, _, fix in lines)
        print(f"{problems} problem(s) found." if problems else "No problem found.")
        if problems:
            sys.exit(1)

    return work


def _software() -> list[Line]:
    found: list[Line] = [("python", f"{sys.version.split()[0]} in {sys.prefix}", "")]
    for name in PACKAGES:
        try:
            found.append((name, version(name), ""))
        except PackageNotFoundError:
            found.append((name, "not installed", f"pip install {name}"))
    return found


def _devices() -> list[Line]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found: list[Line] = [("cpu", f"{cores} cores, {torch.get_num_threads()} threads", "")]
    for place in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(place)
        found.append(
            (
                f"cuda:{place}",
                f"{torch.cuda.get_device_name(place)}, {free / 1e9:.1f} of {total / 1e9:.1f} GB free",
                "",
            )
        )
    if torch.backends.mps.is_available():
        found.append(("mps", "available", ""))
    return found if len(found) > 1 else [*found, ("gpu", "none: models run on the CPU", "")]


def _disk(store: Path) -> list[Line]:
    """Free space and permissions of the working folder, the store and the scratch folder; the store's locks."""
    found = [_space("folder", Path.cwd()), _space("scratch", Path(tempfile.gettempdir()))]
    if not store.is_dir():
        return [*found, ("store", f"{store}: is made by the first run", "")]
    found.append(_space("store", store))
    begun = list(store.glob("*/*.part"))
    return [
        *found,
        ("store's locks", _held(store), ""),
        ("store's work", f"{len(begun)} begun and resumable", ""),
    ]


def _space(name: str, folder: Path) -> Line:
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK):
        return (
            name,
            f"{folder}: cannot be written",
            "Set paths.store=, paths.runs= or TMPDIR to another folder.",
        )
    fix = "" if free >= FEW_BYTES else "Free some space: stores of large pools need gigabytes."
    return name, f"{folder}: {free / 1e9:.1f} GB free", fix


def _held(store: Path) -> str:
    """How many of the store's locks a running job holds."""
    from filelock import FileLock, Timeout

    held = 0
    for path in store.glob("*/*.lock"):
        try:
            with FileLock(path, timeout=0):
                pass
        except Timeout:
            held += 1
        except OSError:
            return "cannot be taken: the file system may lack locks"
    return f"{held} held by running jobs"


def _network() -> list[Line]:
    off = [name for name in OFFLINE if os.environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON")]
    used = "used only by model=hf, data=hub, target=hub, eval.online=true, tracking.mode=online"
    return [("network", f"off by {', '.join(off)}" if off else used, "")]
