"""Token tables on disk: written block by block, read through a memory map."""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from nait.core.dataset.token_table import TokenTable
from nait.store import reading

LONG_FIELDS = {"input_ids": np.dtype(np.int32), "answer": np.dtype(np.bool_)}
"""Fields with one entry per token: appended block by block, as they may exceed memory."""


def write_tokens(folder: Path, blocks: Iterable[TokenTable]) -> Mapping[str, Any]:
    """Write the table's fields as `.npy` files. Returns its numbers of rows, tokens and truncated rows."""
    raw = {name: folder / f"{name}.raw" for name in LONG_FIELDS}
    lengths, truncated = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=bool)]
    streams: dict[str, BinaryIO] = {name: path.open("wb") for name, path in raw.items()}
    try:
        for block in blocks:
            for name, stream in streams.items():
                stream.write(np.ascontiguousarray(getattr(block, name), dtype=LONG_FIELDS[name]).tobytes())
            lengths.append(block.lengths)
            truncated.append(np.asarray(block.truncated))
    finally:
        for stream in streams.values():
            stream.close()
    starts = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    cut = np.concatenate(truncated)
    for name, kind in LONG_FIELDS.items():
        _finish(raw[name], folder / f"{name}.npy", kind, int(starts[-1]))
    np.save(folder / "starts.npy", starts, allow_pickle=False)
    np.save(folder / "truncated.npy", cut, allow_pickle=False)
    return {"rows": len(cut), "tokens": int(starts[-1]), "truncated": int(cut.sum())}


def _finish(raw: Path, path: Path, kind: np.dtype[Any], count: int) -> None:
    """Prepend the `.npy` header, which holds the length, to the raw bytes."""
    header = {"descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": (count,)}
    with path.open("wb") as out, raw.open("rb") as content:
        np.lib.format.write_array_header_1_0(out, header)
        shutil.copyfileobj(content, out, 1 << 20)
    raw.unlink()


def read_tokens(folder: Path) -> TokenTable:
    """The table in this folder. Fields with one entry per token are memory-mapped."""
    with reading(folder):
        fields = {
            name: np.load(
                folder / f"{name}.npy", mmap_mode="r" if name in LONG_FIELDS else None, allow_pickle=False
            )
            for name in ("input_ids", "answer", "starts", "truncated")
        }
    return TokenTable(**fields)


def release_pages(table: TokenTable) -> None:
    """Release the resident pages of a memory-mapped table; they are read again on access."""
    for array in (table.input_ids, table.answer):
        base: Any = array
        while isinstance(base, np.ndarray):
            base = base.base
        if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            base.madvise(mmap.MADV_DONTNEED)
