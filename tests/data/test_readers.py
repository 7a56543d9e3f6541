"""Laws of readers: every file type gives the same rows, and returns them unchanged."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nait.core.errors import ConfigError, DataError
from nait.data.files.file_records import READERS, parse_record
from nait.data.files.json_stream import array_items
from nait.data.files.named_files import KINDS
from nait.data.files.sources import FileSource, HubSource, file_source
from nait.data.pools import read_target
from nait.data.row_errors import RowError

ROWS: list[dict[str, Any]] = [
    {"instruction": "Add 2 and 3.", "input": "", "output": "5"},
    {"instruction": "Übersetze: sea", "input": 'two\nlines, "quoted"', "output": "das Meer 🌊"},
    {"instruction": "Say nothing.", "input": "", "output": ""},
]
RICH: list[dict[str, Any]] = [
    {"z": 1, "a": None, "nested": [[1, 2], []], "big": 2**53 + 1, "x": {"k": [{"deep": "ß\u2028"}]}},
    {"z": None, "a": 1.5, "nested": None, "big": -1, "x": {"k": []}},
]


def json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def json_array(rows: list[dict[str, Any]]) -> bytes:
    return json.dumps(rows, indent=2).encode()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink, row_group_size=2)
    return sink.getvalue()


def comma_separated(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def tab_separated(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter="\t")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def arrow(rows: list[dict[str, Any]]) -> bytes:
    table = pa.Table.from_pylist(rows)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    return sink.getvalue()


def numbered(source: FileSource | HubSource, limit: int | None = None) -> list[tuple[int, dict[str, Any]]]:
    return [(place.row, row) for place, row in source.rows(limit)]


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".zst": lambda raw: pa.compress(raw, "zstd", asbytes=True),
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
}
WRITERS = {
    ".jsonl": json_lines,
    ".json": json_array,
    ".parquet": parquet,
    ".csv": comma_separated,
    ".tsv": tab_separated,
    ".arrow": arrow,
}
Write = Callable[[str, bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def _write(name: str, raw: bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(raw)
        return path

    return _write


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("compression", ["", ".gz", ".zst", ".bz2", ".xz"])
def test_every_kind_and_compression_gives_the_same_rows(write: Write, suffix: str, compression: str) -> None:
    raw = WRITERS[suffix](ROWS)
    source = file_source(write(f"pool{suffix}{compression}", PACK[compression](raw)))
    assert numbered(source) == list(enumerate(ROWS))
    assert [json.loads(line) for line in source.lines([2, 0, 1])] == [ROWS[2], ROWS[0], ROWS[1]]
    assert numbered(source, 1) == [(0, ROWS[0])]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".parquet"])
def test_numbers_nulls_and_nesting_survive(write: Write, suffix: str) -> None:
    source = file_source(write(f"pool{suffix}", WRITERS[suffix](RICH)))
    lines = list(source.lines([0, 1]))
    assert [json.loads(line) for line in lines] == RICH
    assert all(list(json.loads(line)) == list(row) for line, row in zip(lines, RICH, strict=True))
    assert "ß" in lines[0]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
json_rows = st.lists(st.dictionaries(st.text(), json_values, max_size=4), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None)
@given(
    rows=json_rows,
    ascii_only=st.booleans(),
    end=st.sampled_from(["\n", "\r\n", "\n\n \n"]),
    bom=st.booleans(),
)
def test_json_lines_come_back_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    ascii_only: bool,
    end: str,
    bom: bool,
) -> None:
    texts = ["  " + json.dumps(row, ensure_ascii=ascii_only, separators=(" ,", ":  ")) for row in rows]
    path = tmp_path_factory.mktemp("lines") / "pool.jsonl"
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + end.join(texts).encode())
    source = file_source(path)
    assert [row for _, row in source.rows()] == rows
    assert list(source.lines(range(len(rows))[::-1])) == texts[::-1]


@settings(max_examples=60, deadline=None)
@given(rows=json_rows, indent=st.sampled_from([None, 1, 4]), step=st.integers(1, 40))
def test_an_array_is_read_the_same_for_any_chunk_size(
    rows: list[dict[str, Any]], indent: int | None, step: int
) -> None:
    class Drops(io.StringIO):
        def read(self, size: int | None = -1) -> str:
            return super().read(step)

    assert list(array_items(Drops(json.dumps(rows, indent=indent)))) == rows


def test_an_empty_array_has_no_item() -> None:
    assert list(array_items(io.StringIO(" [ \n] "))) == []


def test_nan_is_read_and_written_as_python_writes_it(write: Write) -> None:
    path = write("pool.jsonl", b'{"score": NaN, "top": Infinity}\n')
    assert next(file_source(path).lines([0])) == '{"score": NaN, "top": Infinity}'
    array = write("pool.json", b'[{"score": NaN}]')
    assert next(file_source(array).lines([0])) == '{"score": NaN}'


def test_json_lines_under_the_suffix_json_are_read_as_lines(write: Write) -> None:
    path = write("pool.json", json_lines(ROWS))
    assert numbered(file_source(path)) == list(enumerate(ROWS))


def test_dates_bytes_and_lone_surrogates_become_text_in_a_line(write: Write) -> None:
    import datetime

    rows = [{"day": datetime.date(2024, 5, 1), "blob": b"\x00\xff", "text": "ok"}]
    assert next(file_source(write("pool.parquet", parquet(rows))).lines([0])) == (
        '{"day": "2024-05-01", "blob": "AP8=", "text": "ok"}'
    )
    half = write("pool.json", b'[{"text": "\\ud83d"}]')
    assert next(file_source(half).lines([0])) == '{"text": "\\ud83d"}'


def test_a_csv_cell_may_be_longer_than_the_parsers_default_limit(write: Write) -> None:
    rows = [{"instruction": "Write.", "output": "long " * 50_000}]
    assert numbered(file_source(write("pool.csv", comma_separated(rows)))) == [(0, rows[0])]


def test_a_csv_from_a_spreadsheet_is_read(write: Write) -> None:
    path = write("pool.csv", b"\xef\xbb\xbfinstruction,output\r\n\r\nAdd.,5\r\n")
    assert numbered(file_source(path)) == [(0, {"instruction": "Add.", "output": "5"})]


def test_invalid_lines_are_passed_to_the_callback(write: Write) -> None:
    path = write("pool.jsonl", b'{"a": 1}\n\n{"a": \n[1]\n\xff\n{"a": 2}\n')
    bad: list[tuple[int, str]] = []
    rows = list(file_source(path).rows(on_bad=lambda place, error: bad.append((place.row, error.what))))
    assert [(place.row, row) for place, row in rows] == [(0, {"a": 1}), (4, {"a": 2})]
    assert [str(place) for place, _ in rows] == [f"{path} line 1", f"{path} line 6"]
    assert bad == [(1, "is not JSON"), (2, "is a list, not an object"), (3, "is not UTF-8")]


@pytest.mark.parametrize(
    ("name", "raw", "where", "what", "fix"),
    [
        ("a.jsonl", b'{"a": 1}\n\n{"a" 2}\n', "a.jsonl line 3", "is not JSON", "character 6"),
        ("a.jsonl", b'{"a": 1}\n[2]\n', "a.jsonl line 2", "is a list", "as .json"),
        ("a.jsonl", b"\n\xff\xfe{\n", "a.jsonl line 2", "is not UTF-8", "byte 1"),
        ("a.jsonl", b"1" * 5000, "a.jsonl line 1", "cannot be parsed as JSON", "Correct the line"),
        ("a.json", b'"a text"', "a.json line 1", "does not begin with '['", "or an object that contains one"),
        ("a.json", b'[{"a": 1},\n{"a" 2}]', "a.json line 2", "Expecting ':'", "one array"),
        ("a.json", b'[{"a": 1}\n {"a": 2}]', "a.json line 2", "',' or ']'", "one array"),
        ("a.json", b'[{"a": 1},\n', "a.json line 2", "is not JSON", "one array"),
        ("a.json", b'[{"a": 1}', "a.json line 1", "ends inside", "one array"),
        ("a.json", b'[{"a": 1}]\n[]', "a.json line 2", "has text after", "one array"),
        ("a.json", b"[{}, 3]", "a.json row 1", "is a number", "Write each row"),
        ("a.json", b'[{"a": "\xff"}]', "a.json", "is not UTF-8", "save the file"),
        ("a.csv", b"a,b\n1,2\n1\n", "a.csv line 3", "fewer cells", "2 cells, not 1"),
        ("a.csv", b'a,b\n"1\n2",3\n"4"5,6\n', "a.csv line 4", "is not CSV", "Quote cells"),
        ("a.csv", b"a,a\n1,2\n", "a.csv line 1", "twice", "Rename"),
        ("a.csv", b"a,b\n\xff,2\n", "a.csv", "is not UTF-8", "save the file"),
        ("a.parquet", b"PAR1 or not", "a.parquet", "cannot be read as Parquet", "again"),
        (
            "a.jsonl.xz",
            lzma.compress(b'{"a": 1}\n' * 9)[:-9],
            "a.jsonl.xz",
            "cannot be read",
            "download it again",
        ),
        ("a.jsonl.bz2", bz2.compress(b'{"a": 1}\n' * 9)[:-9], "a.jsonl.bz2", "cannot be read", "download"),
        ("a.jsonl.gz", b"no gzip", "a.jsonl.gz", "cannot be read", "download it again"),
        (
            "a.jsonl.gz",
            gzip.compress(b'{"a": 1}\n' * 9, mtime=0)[:-4],
            "a.jsonl.gz",
            "Truncated",
            "download it again",
        ),
        (
            "a.csv.zst",
            pa.compress(b"a,b\n1,2\n", "zstd", asbytes=True)[:-2],
            "a.csv.zst",
            "Truncated",
            "again",
        ),
    ],
)
def test_a_damaged_file_names_itself_the_place_and_the_mend(
    write: Write, name: str, raw: bytes, where: str, what: str, fix: str
) -> None:
    with pytest.raises(DataError) as caught:
        list(file_source(write(name, raw)).rows())
    assert caught.value.where.split("/")[-1].startswith(where)
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_the_error_for_a_missing_file_suggests_similar_names(write: Write) -> None:
    path = write("alpaca_52k.parquet", b"")
    with pytest.raises(
        DataError, match=r"alpaca_52.parquet: there is no such file. Did you mean 'alpaca_52k"
    ):
        file_source(path.with_name("alpaca_52.parquet"))
    with pytest.raises(DataError, match=r"Its folder '.*nowhere' does not exist either"):
        file_source(path.parent / "nowhere" / "a.jsonl")


def test_an_unknown_suffix_lists_the_known_ones(write: Write) -> None:
    with pytest.raises(
        ConfigError,
        match=r"pool.xlsx: the suffix '.xlsx' is not supported. Save the sheet as CSV .* Supported: .jsonl",
    ):
        file_source(write("pool.xlsx", b""))
    with pytest.raises(ConfigError, match=r"each optionally followed by .gz or .zst"):
        file_source(write("pool.gz", b""))


def test_rows_are_not_given_back_from_a_file_that_has_changed(write: Write) -> None:
    source = file_source(write("pool.jsonl", json_lines(ROWS)))
    write("pool.jsonl", json_lines(ROWS[1:]))
    with pytest.raises(DataError, match=r"has changed since it was read. Run again"):
        list(source.lines([0]))


def test_a_row_number_out_of_range_is_an_error(write: Write) -> None:
    source = file_source(write("pool.jsonl", json_lines(ROWS)))
    with pytest.raises(DataError, match="there is no row 3"):
        list(source.lines([3]))
    assert list(source.lines([])) == []


def test_a_record_that_is_a_fault_is_raised() -> None:
    with pytest.raises(RowError):
        parse_record(RowError("is bad", fix="Mend it"))


def test_a_split_held_by_datasets_is_streamed_like_a_file() -> None:
    import datasets

    source = HubSource("owner/name train", datasets.Dataset.from_list(ROWS))
    assert numbered(source) == list(enumerate(ROWS))
    assert [json.loads(line) for line in source.lines([1, 0])] == [ROWS[1], ROWS[0]]
    assert [str(place) for place, _ in source.rows()][2] == "owner/name train row 2 (counted from 0)"


def test_a_mend_names_the_keys_of_the_group_that_reads_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"instruction": "q", "output": "a"}\n\xff\n')
    with pytest.raises(DataError, match=r"set target\.encoding=cp1252 .* set target\.on_bad=skip"):
        read_target(tmp_path / "a.jsonl")


def test_every_listed_suffix_has_a_reader() -> None:
    assert tuple(READERS) == KINDS


def test_a_flipped_bit_in_a_page_of_parquet_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    table = pa.Table.from_pylist(ROWS)
    pq.write_table(table, file, compression="none", use_dictionary=False, write_page_checksum=True)
    read_target(file)
    file.write_bytes(file.read_bytes().replace(b"Add 2 and 3.", b"Add 2 and 7."))
    with pytest.raises(DataError, match=r"rows\.parquet: cannot be read as Parquet"):
        read_target(file)
