"""Laws of file signatures: a file whose content does not match its suffix is identified, with a remedy."""

from __future__ import annotations

import io
import json
import pickle
import sqlite3
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.ipc as ipc
import pyarrow.parquet as pq
import pytest

from nait.core.dataset.examples import Turn
from nait.core.errors import ConfigError, DataError
from nait.data.pools import read_pool

TABLE = pa.table({"instruction": ["q"], "output": ["a"]})
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 123\n"
PAGE = b"<!DOCTYPE html>\n<html><body>404</body></html>\n"
KINDS = (".jsonl", ".json", ".parquet", ".csv", ".tsv", ".arrow", ".jsonl.gz")


def fault(folder: Path, name: str, raw: bytes) -> str:
    path = folder / name
    path.write_bytes(raw)
    with pytest.raises((DataError, ConfigError)) as caught:
        read_pool(path)
    return str(caught.value)


def packed(kind: str) -> bytes:
    sink = io.BytesIO()
    if kind == "parquet":
        pq.write_table(TABLE, sink)
    elif kind == "arrow":
        with ipc.new_file(sink, TABLE.schema) as writer:
            writer.write_table(TABLE)
    elif kind == "zip":
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("pool.jsonl", "{}")
    elif kind == "tar":
        with tarfile.open(fileobj=sink, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("pool.jsonl"))
    elif kind == "numpy":
        np.save(sink, np.array([1]))
    return sink.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_git_lfs_pointer_is_identified_under_every_suffix(tmp_path: Path, kind: str) -> None:
    assert "is a Git LFS pointer, not the file itself. Run `git lfs pull`" in fault(tmp_path, f"a{kind}", LFS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("raw", [PAGE, b'\n<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>'])
def test_a_web_page_is_identified_under_every_suffix(tmp_path: Path, kind: str, raw: bytes) -> None:
    assert "is a web page or XML, not data. Download the file itself" in fault(tmp_path, f"a{kind}", raw)


@pytest.mark.parametrize(
    "raw", [b"Entry not found", b"404: Not Found\n", b'{"error": "Repository not found"}']
)
def test_a_server_error_message_is_identified(tmp_path: Path, raw: bytes) -> None:
    assert "is a server's error message" in fault(tmp_path, "a.jsonl", raw)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("parquet", "is Parquet. Give it a name that ends in .parquet"),
        ("arrow", "is Arrow. Give it a name that ends in .arrow"),
        ("zip", "is a ZIP archive, or an Excel or OpenDocument file. Unpack it, or save the sheet as CSV"),
        ("tar", "is a TAR archive. Unpack it first"),
        ("numpy", "is a NumPy array. Write it as JSONL or Parquet"),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv"])
def test_a_file_of_another_type_is_identified(tmp_path: Path, kind: str, said: str, suffix: str) -> None:
    assert said in fault(tmp_path, f"a{suffix}", packed(kind))


def test_a_pickle_and_a_database_are_identified_and_not_opened(tmp_path: Path) -> None:
    assert "is a pickle. Pickle files are not read" in fault(tmp_path, "a.jsonl", pickle.dumps([{"a": 1}]))
    with sqlite3.connect(tmp_path / "a.db") as base:
        base.execute("create table t(a)")
    base.close()
    assert "is an SQLite database" in fault(tmp_path, "a.json", (tmp_path / "a.db").read_bytes())


@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv", ".tsv"])
def test_json_with_the_suffix_of_a_table_is_identified(tmp_path: Path, suffix: str) -> None:
    said = fault(tmp_path, f"a{suffix}", b'{"instruction": "q", "output": "a"}\n')
    assert "is JSON. Give it a name that ends in .jsonl" in said


@pytest.mark.parametrize("suffix", [".feather", ".ipc", ".arrow"])
def test_feather_and_arrow_are_read_under_all_their_names(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    feather.write_feather(TABLE, path)
    assert read_pool(path).examples[0].turns == (Turn("q", "a"),)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a.txt", "Rename it by its content"),
        ("a", "the file name has no suffix. Rename it by its content"),
        ("README.md", "It is a document: give the path of the data"),
        ("a.sqlite", "Export the table as CSV or Parquet"),
        ("a.tar.gz", "the suffix '.tar.gz' is not supported. Unpack it first"),
        ("a.jsonl.lz4", "Unpack it first"),
        ("a.yaml", "Convert it to an array of objects in NAME.json"),
        ("a.npz", "Write it as JSONL or Parquet"),
    ],
)
def test_every_unsupported_suffix_has_advice(tmp_path: Path, name: str, said: str) -> None:
    assert said in fault(tmp_path, name, b"x")


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_a_repeated_key_is_not_read(tmp_path: Path, name: str) -> None:
    row = '{"instruction": "q", "output": "a", "output": "b", "note": 1, "note": 2}'
    raw = row if name == "a.jsonl" else f"[{row}]"
    assert "field 'output': occurs twice in one object" in fault(tmp_path, name, raw.encode())
    (tmp_path / name).write_text(raw.replace('"output": "a", ', ""))
    pool = read_pool(tmp_path / name)
    assert pool.examples[0].turns == (Turn("q", "b"),)  # not a fault: no field is read from "note"


def test_field_is_refused_for_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"instruction": "q", "output": "a"}\n' * 2)
    with pytest.raises(ConfigError, match=r"data\.field: applies only to a JSON file that is one object"):
        read_pool(path, field="rows")


def test_a_shared_text_next_to_the_rows_of_an_object_is_reported(tmp_path: Path) -> None:
    rows = [{"input": f"q{i}", "output": "a"} for i in range(3)]
    task = {"Definition": ["Do."], "Positive Examples": rows[:1], "Instances": rows}
    said = fault(tmp_path, "task.json", json.dumps(task).encode())
    assert "Name one: data.field=Instances. This ignores 'Definition'" in said
    said = fault(tmp_path, "a.json", json.dumps({"system_prompt": "s", "my rows": rows}).encode())
    assert (
        "holds the text 'system_prompt' next to its rows. To read only the rows, set 'data.field=my rows'"
        in said
    )
    assert len(read_pool(tmp_path / "a.json", field="my rows")) == 3
    assert "is not a list" not in fault(
        tmp_path, "b.json", json.dumps({"version": "1", "data": [{"x": 1}]}).encode()
    )


def test_lines_that_are_lists_are_reported_as_rows(tmp_path: Path) -> None:
    said = fault(
        tmp_path, "a.jsonl", b'[{"role": "user", "content": "q"}]\n[{"role": "user", "content": "r"}]\n'
    )
    assert "2 rows cannot be used" in said
    assert "a conversation as {messages: [...]}" in said


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (
            b"{'instruction': 'q', 'output': 'a'}\n",
            "It is a Python dict literal: write it with json.dumps",
        ),
        (b"instruction,output\nq,a\n", "JSONL has one object per line, {...}; save a table as .csv"),
    ],
)
def test_a_line_that_is_not_json_is_identified(tmp_path: Path, raw: bytes, said: str) -> None:
    assert said in fault(tmp_path, "a.jsonl", raw)


def test_a_trailing_comma_in_an_array_is_reported(tmp_path: Path) -> None:
    raw = b'[{"instruction": "q", "output": "a"},\n]'
    assert "line 2: has a comma after the last row" in fault(tmp_path, "a.json", raw)


def test_blank_lines_before_a_header_and_unnamed_columns_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n\ninstruction,output,,\nq,a,,\nr\n")
    pool = read_pool(path, on_bad="skip")
    assert [example.turns for example in pool.examples] == [(Turn("q", "a"),)]
    with pytest.raises(DataError, match="line 5: has more or fewer cells"):
        read_pool(path)


def test_the_error_of_a_table_that_fits_no_format_mentions_the_header(tmp_path: Path) -> None:
    said = fault(tmp_path, "a.csv", b"What is 1+1?,2\nWhat is 2+2?,4\n")
    assert "The first line is read as column names: if it is a row, add a line of names above it" in said
    assert "prompt: COLUMN" in said


def test_an_answer_that_spells_a_missing_value_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("instruction,output\nq,nan\nr,None\ns,a\n")
    assert list(read_pool(path).reading["counts"].values()) == [2]
