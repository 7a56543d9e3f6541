"""Laws of damaged files: any bytes give a pool or one `NaitError`, in bounded time and memory.

`tests/data/fuzz.py` is the target; its long run is `python -m tests.data.fuzz --cases 20000`.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.errors import DataError, NaitError
from nait.data.pools import read_pool
from tests.data import fuzz
from tests.growth import grows_linearly

ROW = {"instruction": "q", "output": "a"}
SMALL_CORPUS = 300


def test_a_small_corpus_of_damaged_files_raises_only_nait_errors(tmp_path: Path) -> None:
    ends = [fuzz.check(number, tmp_path).end for number in range(SMALL_CORPUS)]
    assert {"read", "DataError", "ConfigError"} <= set(ends)


@settings(max_examples=60, deadline=None)
@given(number=st.integers(SMALL_CORPUS, 2**40))
def test_any_damaged_file_raises_only_nait_errors(
    tmp_path_factory: pytest.TempPathFactory, number: int
) -> None:
    fuzz.check(number, tmp_path_factory.mktemp("fuzz"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(fuzz.ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("messages", "conversations", "data", "instruction", "output", "prompt", "completion", "question", "answer",
         "options", "choices", "history", "system", "input", "text", "tools", "image", "id", "thinking")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(NAMES), json_values, max_size=6), min_size=1, max_size=4)
)
def test_rows_of_any_values_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "a.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for keys in ({}, {"on_bad": "skip", "turns": "mend", "reasoning": "drop"}):
        assert fuzz.attempt(path, keys).end in ("read", "DataError", "ConfigError")


@pytest.mark.slow
def test_a_large_corpus_of_damaged_files_raises_only_nait_errors(tmp_path: Path) -> None:
    for number in range(20_000):
        fuzz.check(number, tmp_path)


def hard_table() -> pa.Table:
    """Two valid rows and columns that Python cannot represent: bad UTF-8, a far date, an unknown time zone."""
    return fuzz._table([ROW, {**ROW, "instruction": "r"}])


def test_an_unreadable_value_in_an_unused_column_is_ignored(tmp_path: Path) -> None:
    pq.write_table(hard_table(), tmp_path / "a.parquet")
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink,
        pa.ipc.new_stream(sink, hard_table().schema) as out,
    ):
        out.write_table(hard_table())
    for name in ("a.parquet", "a.arrow"):
        for on_bad in ("error", "skip"):
            pool = read_pool(tmp_path / name, on_bad=on_bad)
            assert (len(pool), pool.skipped) == (2, {})
            assert pool.source is not None
            line = json.loads(next(pool.source.lines([0])))
            assert (line["instruction"], line["broken"]) == ("q", "\ufffd\ufffd")


def test_an_unreadable_value_in_a_used_column_is_a_fault_of_its_row(tmp_path: Path) -> None:
    pq.write_table(hard_table(), tmp_path / "a.parquet")
    with pytest.raises(
        DataError, match=r"(?s)2 rows cannot be used:.*row 0 .*'broken': holds bytes that are not UTF-8"
    ):
        read_pool(tmp_path / "a.parquet", columns={"instruction": "broken"})


def test_a_damaged_arrow_file_does_not_end_the_process(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, pa.schema([("instruction", pa.string()), ("output", pa.string())])) as out:
        out.write_table(pa.table({"instruction": ["q"], "output": ["a"]}))
    offsets = sink.getvalue().replace(
        b"\x00\x00\x00\x00\x01\x00\x00\x00", b"\x00\x00\x00\x00\x01\x00\x00\x70"
    )
    (tmp_path / "a.arrow").write_bytes(offsets)
    with pytest.raises(DataError, match="cannot be read as Arrow"):
        read_pool(tmp_path / "a.arrow")


def test_a_header_of_many_columns_is_read_in_linear_time(tmp_path: Path) -> None:
    def read(columns: int) -> None:
        names = [f"c{i}" for i in range(columns)]
        header = ",".join(["instruction", "output", *names])
        path.write_text(f"{header}\nq,a{',' * columns}\n")
        assert len(read_pool(path)) == 1

    path = tmp_path / "a.csv"
    assert grows_linearly(read, 10_000)


def test_rows_with_different_columns_each_are_read_in_linear_time(tmp_path: Path) -> None:
    def read(count: int) -> None:
        rows = [
            {"instruction": str(i), "output": "a", **{f"c{i}-{j}": "x" for j in range(20)}}
            for i in range(count)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        assert read_pool(path).reading["unused_columns"] == 20 * count

    path = tmp_path / "a.jsonl"
    assert grows_linearly(read, 750)


def test_a_message_about_many_columns_is_short(tmp_path: Path) -> None:
    row = {f"column number {i}": "x" for i in range(20_000)}
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n")
    for keys in ({}, {"columns": {"prompt": "column"}}, {"id_column": "row"}):
        with pytest.raises(NaitError) as caught:
            read_pool(tmp_path / "a.jsonl", **keys)
        assert len(str(caught.value)) < fuzz.CHARACTERS


def test_a_row_larger_than_the_limit_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as out:
        out.write(json.dumps(ROW).encode() + b'\n{"instruction": "')
        for _ in range(48):
            out.write(b"x" * 2**20)
        out.write(b'", "output": "a"}\n' + json.dumps({**ROW, "instruction": "r"}).encode())
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"line 2: holds more than 4 MB.*data.max_row_mb=8 or more"):
            read_pool(path, max_row_mb=4)
        assert len(read_pool(path, max_row_mb=4, on_bad="skip")) == 2
        assert tracemalloc.get_traced_memory()[1] < 24 * 2**20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "head", "tail"),
    [("a.json", b'[{"instruction": "', b'", "output": "a"}]'), ("a.csv", b"instruction,output\n", b",a\n")],
)
def test_a_large_value_of_other_files_is_refused_too(
    tmp_path: Path, name: str, head: bytes, tail: bytes
) -> None:
    (tmp_path / name).write_bytes(head + b"x" * (6 * 2**20) + tail)
    with pytest.raises(DataError, match=r"holds more than 2 MB.*data.max_row_mb"):
        read_pool(tmp_path / name, max_row_mb=2)
    assert len(read_pool(tmp_path / name)) == 1


def test_blank_lines_are_read_in_linear_time(tmp_path: Path) -> None:
    def read(lines: int) -> None:
        path.write_bytes(b"\n" * lines + json.dumps({"instruction": "q"}).encode())
        with pytest.raises(DataError, match=f"line {lines + 1}: fits no format"):
            read_pool(path)

    path = tmp_path / "a.jsonl"
    assert grows_linearly(read, 2**22)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(DataError, match="is not a regular file"):
        read_pool(tmp_path / "a.jsonl")


def test_broken_links_are_identified(tmp_path: Path) -> None:
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("elsewhere.jsonl")
    with pytest.raises(DataError, match="is a symbolic link that points to itself"):
        read_pool(tmp_path / "loop.jsonl")
    with pytest.raises(DataError, match=r"is a symbolic link to 'elsewhere\.jsonl', which does not exist"):
        read_pool(tmp_path / "gone.jsonl")


@pytest.mark.parametrize(
    ("path", "fix"),
    [
        ("hf://datasets/owner/name/data.parquet", "data=hub data.path=owner/name"),
        ("https://huggingface.co/datasets/owner/name/resolve/main/a.jsonl", "data=hub data.path=owner/name"),
        ("ftp://host/a.jsonl", "Download the file"),
        ("file:///data/a.jsonl", "Give the path without 'file://': /data/a.jsonl"),
        ("owner/name", "data=hub data.path=owner/name"),
        ("nowhere/*.jsonl", "Check the folder and the pattern"),
        ("a\x00b", "no such file"),
        ("x" * 5000, "Check the path"),
    ],
    ids=lambda value: value[:20],
)
def test_the_error_of_a_path_that_is_not_a_file_names_the_remedy(path: str, fix: str) -> None:
    with pytest.raises(NaitError) as caught:
        read_pool(path)
    assert fix in str(caught.value)
    assert len(str(caught.value)) < 6000


def test_ids_larger_than_64_bits_are_accepted(tmp_path: Path) -> None:
    rows = [{"id": 10**30 + i, **ROW, "instruction": str(i)} for i in range(2)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pool = read_pool(tmp_path / "a.jsonl")
    assert pool.ids == (str(10**30), str(10**30 + 1))
    (tmp_path / "b.jsonl").write_text(json.dumps(ROW) + '\n{"id": ' + "9" * 5000 + "}\n")
    with pytest.raises(DataError, match="line 2: cannot be parsed as JSON"):
        read_pool(tmp_path / "b.jsonl")
