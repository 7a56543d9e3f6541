"""Small whole jobs for the tests of faults: select, train with LoRA, evaluate and report on a tiny random model."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.app.commands import given, warm

OUTPUTS = ("selected.jsonl", "scores.parquet", "layers.parquet", "results.json")


def words(home: Path) -> list[str]:
    """A job that saves its work after each batch and each update."""
    return [
        *given(home), "engine.save_seconds=0", "engine.batch_tokens=512", "train.save_seconds=0",
        "train.max_steps=3",
    ]  # fmt: skip


def run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return warm().run(command, cwd=folder)


def last_run(folder: Path) -> Path:
    """The folder of the last job."""
    return max((folder / "runs").rglob("run.json"), key=lambda path: path.stat().st_mtime_ns).parent


def outputs(folder: Path, names: Sequence[str] = OUTPUTS) -> dict[str, bytes]:
    """The last job's outputs."""
    return {name: (last_run(folder) / name).read_bytes() for name in names}


def flip(path: Path, drawn: random.Random) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
    path.write_bytes(content)
