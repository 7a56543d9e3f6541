"""A pass resumes from what is whole and its own; the bytes of the result do not change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nait.core.dataset.token_table import TokenTable, token_table
from nait.signals.passes import run
from nait.signals.passes.chunk_files import DamagedChunk, read_arrays, write_arrays
from nait.signals.passes.options import Engine
from nait.store import Store

ROWS = 24
KEY = {"of": "a pass"}
SUM = SimpleNamespace(per_row=True)


@pytest.fixture(scope="module")
def table() -> TokenTable:
    return token_table([[1 + row, 2, 3] for row in range(ROWS)], [[0, 1, 1]] * ROWS, [False] * ROWS)


class Runner:
    """Measures the sum of each row's tokens; stops before batch `stop`."""

    def __init__(self, stop: int | None = None) -> None:
        self.stop, self.measured, self.before = stop, 0, 0

    def __enter__(self) -> Runner:
        self.before = self.measured
        return self

    def __exit__(self, *_: object) -> None: ...

    def meter_seconds(self) -> list[dict[str, Any]]:
        """Two meters, which take 2 and 1 seconds of each batch since the pass was entered."""
        count = self.measured - self.before
        return [{"signals": [k], "seconds": float(count * (2 - k))} for k in range(2)]

    def read(
        self, table: TokenTable, batches: list[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, list[np.ndarray]]]:
        for rows in batches:
            if self.stop is not None and self.measured >= self.stop:
                raise KeyboardInterrupt
            self.measured += 1
            yield (
                rows,
                [
                    np.array(
                        [table.input_ids[table.starts[row] : table.starts[row + 1]].sum() for row in rows]
                    )
                ],
            )


Measure = Callable[..., tuple[bytes, int]]


@pytest.fixture
def measure(table: TokenTable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Measure:
    """The bytes of a pass in a store, and the number of batches that this call measures."""

    def measured(name: str, *, stop: int | None = None, batch_tokens: int = 6) -> tuple[bytes, int]:
        runner = Runner(stop)
        monkeypatch.setattr(run, "runner_of", lambda *_, **__: runner)
        monkeypatch.setattr(run, "read_ahead", lambda one, table, batches: one.read(table, batches))
        engine = Engine(
            batch_tokens=batch_tokens, chunk_tokens=24, save_seconds=0, progress=False, share_prefixes=False
        )
        try:
            made = Store(tmp_path / name).produce(
                "passes",
                KEY,
                lambda part: run.run_pass(lambda: None, table, [SUM], part, engine=engine, name=name),
            )
        except KeyboardInterrupt:
            return b"", runner.measured
        return (made.path / "0.npy").read_bytes(), runner.measured

    return measured


def meters(folder: Path) -> list[float]:
    """The seconds of each meter, as the manifest of a pass has them."""
    (manifest,) = folder.rglob("manifest.json")
    return [one["seconds"] for one in json.loads(manifest.read_text())["meters"]]


@pytest.mark.parametrize("stops", [(6,), (3, 5), (0, 7, 1)])
def test_a_killed_pass_has_the_meters_seconds_of_all_its_attempts(
    stops: tuple[int, ...], measure: Measure, tmp_path: Path
) -> None:
    _, batches = measure("whole")
    assert meters(tmp_path / "whole") == [2.0 * batches, 1.0 * batches]
    measured = [measure("killed", stop=stop)[1] for stop in stops]
    measured.append(measure("killed")[1])
    assert sum(measured) == batches
    assert meters(tmp_path / "killed") == meters(tmp_path / "whole")


def test_a_chunk_that_is_measured_again_counts_beside_the_others(measure: Measure, tmp_path: Path) -> None:
    measure("killed", stop=6)
    path = sorted((tmp_path / "killed").rglob("chunk-*.npz"))[0]
    path.write_bytes(b"")
    _, measured = measure("killed")
    assert meters(tmp_path / "killed") == [2.0 * (6 + measured), 1.0 * (6 + measured)]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8 % len(content)] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["chunk", "begun"])
@pytest.mark.parametrize("change", ["flip", "cut", "zeros", "empty"])
def test_a_damaged_file_of_a_killed_pass_is_set_aside_and_measured_again(
    kind: str, change: str, measure: Measure, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, batches = measure("whole")
    measure("killed", stop=6)
    path = sorted((tmp_path / "killed").rglob(f"{kind}-*.npz"))[0]
    content = path.read_bytes()
    {
        "flip": lambda: flip(path, 8 * content.index(b"NUMPY", 200) + 700),
        "cut": lambda: path.write_bytes(content[: len(content) // 2]),
        "zeros": lambda: path.write_bytes(bytes(len(content))), "empty": lambda: path.write_bytes(b""),
    }[change]()  # fmt: skip
    again, measured = measure("killed")
    assert again == whole
    assert batches - 6 < measured <= batches
    assert path.name in caplog.text
    assert path.name in [one.name for one in (tmp_path / "killed").rglob("*.damaged/*")]


def test_a_chunk_of_an_earlier_plan_is_measured_again(measure: Measure, tmp_path: Path) -> None:
    """After a power cut a new plan may be on the disk while the removal of the earlier one's chunks is not."""
    whole, _ = measure("whole")
    measure("killed", stop=6, batch_tokens=9)
    (old,) = (tmp_path / "killed").rglob("chunk-000000.npz")
    content = old.read_bytes()
    measure("killed", stop=2)
    old.write_bytes(content)
    assert measure("killed")[0] == whole


def test_every_flipped_bit_of_a_chunk_file_is_noticed_or_harmless(tmp_path: Path) -> None:
    path, arrays = tmp_path / "x.npz", [np.arange(6.0).reshape(2, 3), np.array([7], np.int32)]
    write_arrays(path, arrays, of="plan:0:0:1")
    content = path.read_bytes()
    noticed = 0
    for bit in range(0, 8 * len(content), 7):
        flip(path, bit)
        try:
            found = read_arrays(path, of="plan:0:0:1")
        except DamagedChunk:
            noticed += 1
        else:
            for one, other in zip(arrays, found, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)
        path.write_bytes(content)
    assert noticed > 300
