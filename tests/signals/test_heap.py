"""Laws of memory: what is free goes back to the system, not more often than is cheap, and so does what was read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nait.core.dataset.token_table import TokenTable
from nait.signals.runtime import malloc_trim as heap
from nait.signals.runtime.malloc_trim import Heap
from nait.signals.token_store import forget, read_tokens, write_tokens

PIECE, PIECES = 64 << 10, 2000
"""Small enough to lie on the heap, not in a mapping of its own."""


def resident(kind: str = "RssAnon:") -> int:
    """Bytes of this process in memory: of its own, or of files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(kind):
            return int(line.split()[1]) << 10
    raise AssertionError(f"no {kind}")


@pytest.mark.skipif(heap._trim() is None, reason="the C library has no malloc_trim")
def test_holes_between_what_stays_go_back_to_the_system() -> None:
    pieces = [np.ones(PIECE, dtype=np.uint8) for _ in range(PIECES)]
    kept = pieces[::100]
    del pieces
    before = resident()
    assert Heap(seconds=0).give_back()
    assert before - resident() > PIECE * PIECES // 2
    assert all(piece.all() for piece in kept)


def test_memory_is_not_given_back_twice_within_the_time() -> None:
    assert not Heap(seconds=3600).give_back()


def test_another_allocator_is_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_trim", lambda: None)
    assert not Heap(seconds=0).give_back()


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="no /proc")
def test_what_was_read_of_a_table_on_disk_leaves_memory_and_is_there_again(tmp_path: Path) -> None:
    count = 8 << 20
    ids = np.arange(count, dtype=np.int32)
    rows = TokenTable(ids, ids % 3 == 0, np.asarray([0, count]), np.zeros(1, dtype=bool))
    write_tokens(tmp_path, [rows])
    table = read_tokens(tmp_path)
    total = int(table.input_ids.sum(dtype=np.int64))
    before = resident("RssFile:")
    forget(table)
    assert before - resident("RssFile:") > ids.nbytes // 2
    assert int(table.input_ids.sum(dtype=np.int64)) == total
    forget(rows)  # of one in memory nothing is forgotten
    assert rows.input_ids[-1] == count - 1
