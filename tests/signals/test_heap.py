"""Heap trimming returns freed memory to the system, at a limited rate; so does the release of memory-mapped pages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nait.core.dataset.token_table import TokenTable
from nait.signals.runtime import malloc_trim as heap
from nait.signals.runtime.malloc_trim import Heap
from nait.signals.token_store import read_tokens, release_pages, write_tokens

PIECE, PIECES = 64 << 10, 2000
"""Small enough for the heap: larger blocks get a mapping of their own."""


def resident(kind: str = "RssAnon:") -> int:
    """Resident bytes of this process: anonymous (RssAnon) or of files (RssFile)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {kind}")


@pytest.mark.skipif(heap._trim() is None, reason="the C library has no malloc_trim")
def test_a_trim_returns_the_holes_of_a_fragmented_heap() -> None:
    pieces = [np.ones(PIECE, dtype=np.uint8) for _ in range(PIECES)]
    kept = pieces[::100]
    del pieces
    before = resident()
    assert Heap(seconds=0).trim()
    assert before - resident() > PIECE * PIECES // 2
    assert all(piece.all() for piece in kept)


def test_the_heap_is_not_trimmed_twice_within_the_interval() -> None:
    assert not Heap(seconds=3600).trim()


def test_another_allocator_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", lambda: None)
    assert not Heap(seconds=0).trim()


def mapped() -> int:
    """Resident bytes of mapped files, on a disk or in a file system in memory."""
    return resident("RssFile:") + resident("RssShmem:")


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc")
def test_released_pages_of_a_table_leave_memory_and_can_be_read_again(tmp_path: Path) -> None:
    count = 8 << 20
    ids = np.arange(count, dtype=np.int32)
    rows = TokenTable(ids, ids % 3 == 0, np.asarray([0, count]), np.zeros(1, dtype=bool))
    write_tokens(tmp_path, [rows])
    table = read_tokens(tmp_path)
    total = int(table.input_ids.sum(dtype=np.int64))
    before = mapped()
    release_pages(table)
    assert before - mapped() > ids.nbytes // 2
    assert int(table.input_ids.sum(dtype=np.int64)) == total
    release_pages(rows)  # a table in memory is left as it is
    assert rows.input_ids[-1] == count - 1
