"""Fuzz target for all readers: any bytes give a pool or one `NaitError`, in bounded time and memory.

`python -m tests.data.fuzz --cases 20000` is the long run; its last line reports the figures. A case depends only on
its number, so `--first N --cases 1` repeats one.
"""

from __future__ import annotations

import argparse
import bz2
import csv
import gzip
import io
import json
import logging
import lzma
import random
import sys
import tempfile
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from nait.core.errors import NaitError
from nait.data.pools import read_pool, read_target

SECONDS, MEGABYTES, CHARACTERS = 5.0, 256, 4000
"""Limits of time and memory per case, and of the length of a message."""
CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
ROWS: list[dict[str, Any]] = [
    {"id": 1, "instruction": "Add é.", "input": "", "output": "5", "system": None},
    {"id": "b", "instruction": "Sort", "input": "b a", "output": "a b", "note": 'x, "y"\nz'},
]
SHAPES: list[list[dict[str, Any]]] = [
    ROWS,
    [{"messages": CHAT}, {"messages": [{"role": "system", "content": "s"}, *CHAT], "tools": []}],
    [{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a", "weight": 0}]}],
    [{"data": ["q", "a", "r", "b"]}, {"data": []}],
    [
        {"question": "q", "choices": ["w", "x"], "answer": 1},
        {"question": "r", "choices": {"A": "w"}, "answer": "A"},
    ],
    [
        {"prompt": CHAT[:1], "completion": CHAT[1:]},
        {"prompt": "q", "completion": "a", "history": [["x", "y"]]},
    ],
    [
        {"text": "### Human: q### Assistant: a"},
        {"text": "<s>[INST] <<SYS>>s<</SYS>> q [/INST] a</s>"},
        {"text": "Q: q\nA: a\nQ: r\nA: b"},
        {"text": "<\uff5cUser\uff5c>q<\uff5cAssistant\uff5c>a"},
    ],
]
PIECES = (
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\\ud800", b"[", b"]", b"{", b"}", b'"', b"\n", b"\r",
    b",",
    b";", b"\t", b"null", b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 3000, b'{"a":' * 1500, b"\\u12",
    b"\xed\xa0\x80", b"true",
    b" " * 5000, b"\n" * 3000, b'"id": 123456789012345678901234567890', b'"messages": [[]]', b"sep=;\n", b"PAR1",
    b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd",
)  # fmt: skip
KEYS: list[dict[str, Any]] = [
    {}, {}, {}, {"on_bad": "skip"}, {"on_bad": "skip", "turns": "mend"}, {"reasoning": "drop"}, {"id_column": None},
    {"format": "messages"}, {"format": "text", "on_bad": "skip"}, {"columns": {"prompt": "question"}}, {"limit": 1},
    {"encoding": "utf-16"}, {"encoding": "cp1252"}, {"encoding": "utf-7"}, {"separator": ";"}, {"field": "data"},
    {"columns": {"messages": "a.0.b"}}, {"max_row_mb": 1, "on_bad": "skip"},
]  # fmt: skip
ODD: list[Any] = [
    None, True, -1, 2**70, 1e308, float("nan"), "", "\ud800", "<image>", "[]", '[{"role": "user"}]', [], {}, [[]],
    [None], [{}], {"a": {}}, ["q"], [["q", "a"]], {"text": ["a"], "label": ["A"]}, {"parts": [None]}, "<think>", "9",
    [{"role": "user", "content": [{"type": "text"}]}], [{"role": 3}], [{"from": None}],
]  # fmt: skip


class Outcome(NamedTuple):
    """Outcome of one case: "read" or the type of the error, its time and memory, and its message."""

    end: str
    seconds: float
    megabytes: float
    message: str


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def _csv(rows: list[dict[str, Any]], separator: str = ",") -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator)
    writer.writerow(list(rows[0]))
    writer.writerows([[str(row.get(name)).replace("\ud800", "?") for name in rows[0]] for row in rows])
    return text.getvalue().encode()


def _table(rows: list[dict[str, Any]]) -> pa.Table:
    """The rows as Arrow, with types that are hard to convert to Python; mixed values become text."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns: dict[str, Any] = {}
    for name in names:
        held = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(held)
            if "struct<>" in str(columns[name].type):
                raise pa.ArrowInvalid("Parquet has no struct without a field")
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            columns[name] = pa.array([json.dumps(value) for value in held])
    size = len(rows)
    columns["when"] = pa.array([2**62] * size, pa.int64()).cast(pa.timestamp("us"))
    columns["zone"] = pa.array([0] * size, pa.int64()).cast(pa.timestamp("us", tz="Nowhere/None"))
    columns["broken"] = pa.Array.from_buffers(
        pa.string(), size, [None, pa.py_buffer(pa.array([2 * i for i in range(size + 1)], pa.int32()).buffers()[1]),
                            pa.py_buffer(b"\xff\xfe" * size)]
    )  # fmt: skip
    return pa.table(columns)


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(_table(rows), sink)
    return sink.getvalue()


def _arrow(rows: list[dict[str, Any]]) -> bytes:
    table, sink = _table(rows), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _columns(rows: list[dict[str, Any]]) -> bytes:
    names = list(rows[0])
    return json.dumps(
        {name: {str(i): row.get(name) for i, row in enumerate(rows)} for name in names}
    ).encode()


WRITERS: list[tuple[str, Callable[[list[dict[str, Any]]], bytes]]] = [
    (".jsonl", _lines),
    (".json", lambda rows: json.dumps(rows, indent=1).encode()),
    (".json", lambda rows: json.dumps({"version": 1, "data": rows}).encode()),
    (".json", lambda rows: "\n".join(json.dumps(row, indent=1) for row in rows).encode()),
    (".json", _columns),
    (".jsonl", lambda rows: _lines(rows).decode().encode("utf-16")),
    (".csv", _csv),
    (".csv", lambda rows: b"sep=;\r\n" + _csv(rows, ";")),
    (".tsv", lambda rows: _csv(rows, "\t")),
    (".parquet", _parquet),
    (".arrow", _arrow),
]
PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("", bytes), ("", bytes), ("", bytes), (".gz", gzip.compress), ("", gzip.compress), (".bz2", bz2.compress),
    (".xz", lzma.compress), (".zst", lambda raw: pa.compress(raw, "zstd", asbytes=True)),
]  # fmt: skip


def made(number: int) -> tuple[str, bytes, dict[str, Any]]:
    """Name, bytes and keys of a case."""
    draw = random.Random(number)
    rows = [dict(row) for row in draw.choice(SHAPES)]
    for _ in range(draw.choice((0, 0, 1, 3))):  # values of other kinds, at any depth
        row = draw.choice(rows)
        name = draw.choice(
            [*row, "system", "history", "options", "image", "tools", "thinking", "context", "id"]
        )
        row[name] = draw.choice(ODD)
    suffix, write = draw.choice(WRITERS)
    raw = write(rows)
    if draw.random() < 0.7:
        raw = mutated(raw, draw)
    packing, pack = draw.choice(PACKERS)
    raw = pack(raw)
    if packing and draw.random() < 0.2:
        raw = mutated(raw, draw)
    return f"case{suffix}{packing}", raw, draw.choice(KEYS)


def mutated(raw: bytes, draw: random.Random) -> bytes:
    """The bytes with random changes, cuts, repetitions and insertions that confuse parsers."""
    found = bytearray(raw)
    for _ in range(draw.randint(1, 6)):
        at = draw.randint(0, len(found))
        end = min(len(found), at + draw.randint(0, 40))
        match draw.randint(0, 4):
            case 0 if at < len(found):
                found[at] = draw.randint(0, 255)
            case 1:
                del found[at:end]
            case 2:
                found[at:at] = draw.choice(PIECES)
            case 3:
                found[at:at] = found[at:end] * draw.randint(1, 60)
            case 4:
                del found[at:]
            case _:
                pass
    return bytes(found)


def attempt(path: Path, keys: dict[str, Any], *, traced: bool = False) -> Outcome:
    """Read a pool and its original rows once. Raises: any exception that is not a `NaitError`."""
    if traced:
        tracemalloc.start()
    started, end, message = time.process_time(), "read", ""
    try:
        pool = read_pool(path, **keys)
        assert pool.source is not None
        for line in pool.source.lines([example.row for example in pool.examples]):
            line.encode()
        read_target(path, **keys)
    except NaitError as error:
        end, message = type(error).__name__, str(error)
    seconds = time.process_time() - started
    megabytes = tracemalloc.get_traced_memory()[1] / 2**20 if traced else 0.0
    if traced:
        tracemalloc.stop()
    return Outcome(end, seconds, megabytes, message)


def check(number: int, folder: Path, *, traced: bool = False) -> Outcome:
    """Run a case. Raises: AssertionError, or the unexpected exception, with the number of the case."""
    name, raw, keys = made(number)
    path = folder / name
    path.write_bytes(raw)
    try:
        outcome = attempt(path, keys, traced=traced)
    except Exception as error:
        error.add_note(f"case {number}: {name}, {len(raw)} bytes, {keys}")
        raise
    finally:
        path.unlink()
    assert outcome.seconds < SECONDS, f"case {number} took {outcome.seconds:.1f} s"
    assert outcome.megabytes < MEGABYTES, f"case {number} took {outcome.megabytes:.0f} MB"
    assert len(outcome.message) < CHARACTERS, f"case {number}: a message of {len(outcome.message)} characters"
    return outcome


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--keep-going", action="store_true")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    started, ends, failures = time.monotonic(), Counter[str](), 0
    slowest = largest = longest = (0.0, -1)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(asked.first, asked.first + asked.cases):
            try:
                outcome = check(number, Path(folder), traced=True)
            except Exception as error:
                if not asked.keep_going:
                    raise
                failures += 1
                print(f"{number}: {type(error).__name__}: {str(error)[:150]}", file=sys.stderr)
                continue
            ends[outcome.end] += 1
            slowest = max(slowest, (outcome.seconds, number))
            largest = max(largest, (outcome.megabytes, number))
            longest = max(longest, (len(outcome.message), number))
    print(
        f"{asked.cases} cases in {time.monotonic() - started:.0f} s, {dict(ends)}, {failures} failures; slowest "
        f"{slowest[0]:.2f} s (case {slowest[1]}), most memory {largest[0]:.1f} MB (case {largest[1]}), longest "
        f"message {longest[0]} characters (case {longest[1]})"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
