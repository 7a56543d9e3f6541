"""Fixtures that several rooms' tests share: the reference folder, tiny models, tiny pools."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather

# No deadline: the duration of an example depends on the machine's load.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

MEMORY = Path("/dev/shm")  # files there are not waited for: the store syncs each one
MEMORY_BYTES = 4 << 30

SHARED = Path(__file__).resolve().parents[2] / "shared"


def pytest_configure(config: pytest.Config) -> None:
    """Put temporary folders into memory where there is room, unless --basetemp says otherwise. They go at the end."""
    if config.option.basetemp or hasattr(config, "workerinput") or not MEMORY.is_dir():
        return
    if shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        folder = tempfile.mkdtemp(prefix="nait-tests-", dir=MEMORY)
        config.option.basetemp = f"{folder}/all"
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.fixture(scope="session")
def shared() -> Callable[[str], Path]:
    """The path of a folder of reference data; skips the test if the folder is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"reference data '{name}' is not next to the checkout")
        return path

    return find


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test if anything sleeps, as a client does before it tries again."""
    asked: list[float] = []
    monkeypatch.setattr("time.sleep", asked.append)
    yield
    assert not asked


def read_pool(path: Path, name: str) -> Pool:
    """A pool of an alpaca-shaped JSONL file with ids, read without the reader under test."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return gather(name, [_example(row, i) for i, row in enumerate(rows)])


def read_target(path: Path, name: str) -> Target:
    """The same file as a reference set."""
    return as_target(read_pool(path, name))


def _example(row: dict[str, Any], place: int) -> Example:
    turn = Turn(row["instruction"], row["output"], row.get("input", ""))
    return Example(id=row.get("id", ""), turns=(turn,), row=place)
