"""Selected rows in the pool's own format: the same rows, with the types and the separator that they had."""

from __future__ import annotations

import csv
import gzip
import json
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import feather, parquet

from nait.cli.selection.exported_rows import place_for, scores_place, write_rows
from nait.core.dataset.examples import Pool
from nait.core.errors import ConfigError
from nait.core.ranking.selection import Selection
from nait.data.files.sources import memory_source
from nait.data.pools import read_pool
from nait.stages.artifacts.score_files import SELECTED_SHA256, write_parquet
from nait.store.files.checksums import sha256

ROWS: list[dict[str, Any]] = [
    {"instruction": f"Say {i}; now", "output": f'größe {i}, "yes"\nand no', "n": i, "tags": ["a", str(i)]}
    for i in range(9)
]
WANTED = (7, 0, 3)


def chosen(pool: Pool) -> Selection:
    places = {example.row: place for place, example in enumerate(pool.examples)}
    rows = tuple(places[row] for row in WANTED)
    return Selection(tuple(pool.examples[row].id for row in rows), rows, 3)


def exported(pool: Pool, out: str) -> Path:
    path = place_for(out, pool)
    write_rows(path, pool, chosen(pool))
    return path


def test_json_lines_are_the_users_bytes(tmp_path: Path) -> None:
    lines = [json.dumps(row, ensure_ascii=i % 2 == 0, indent=None) for i, row in enumerate(ROWS)]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines), encoding="utf-8")
    pool = read_pool(tmp_path / "pool.jsonl")
    assert exported(pool, str(tmp_path / "best")).read_text().splitlines() == [lines[row] for row in WANTED]
    packed = exported(pool, str(tmp_path / "best.jsonl.gz"))
    assert gzip.decompress(packed.read_bytes()).decode().splitlines() == [lines[row] for row in WANTED]
    assert scores_place(packed).name == "best.scores.parquet"


def test_an_array_stays_an_array(tmp_path: Path) -> None:
    (tmp_path / "pool.json").write_text(json.dumps(ROWS))
    path = exported(read_pool(tmp_path / "pool.json"), f"{tmp_path}/")
    assert path == tmp_path / "pool.selected.json"
    assert json.loads(path.read_text()) == [ROWS[row] for row in WANTED]


def test_parquet_keeps_the_types_of_its_columns_over_shards(tmp_path: Path) -> None:
    schema = pa.schema([("instruction", pa.large_string()), ("output", pa.string()), ("n", pa.int8()),
                        ("tags", pa.list_(pa.string()))])  # fmt: skip
    for place, part in enumerate((ROWS[:4], ROWS[4:])):
        parquet.write_table(pa.Table.from_pylist(part, schema), tmp_path / f"pool-{place}.parquet")
    pool = read_pool(str(tmp_path / "pool-*.parquet"))
    table = parquet.read_table(exported(pool, str(tmp_path / "best.parquet")))
    assert table.schema.equals(schema)
    assert table.to_pylist() == [ROWS[row] for row in WANTED]


@pytest.mark.parametrize("kind", [".arrow", ".feather", ".ipc", ".parquet.gz"])
@pytest.mark.parametrize("out", ["best.arrow", "best.parquet"])
def test_every_table_keeps_the_types_of_its_columns(tmp_path: Path, kind: str, out: str) -> None:
    types = [("instruction", pa.string()), ("output", pa.string()), ("n", pa.int16()), ("at", pa.date32())]
    rows = [
        {**{key: row[key] for key in ("instruction", "output", "n")}, "at": date(2026, 1, 1)} for row in ROWS
    ]
    table, path = pa.Table.from_pylist(rows, pa.schema(types)), tmp_path / f"pool{kind}"
    if kind == ".parquet.gz":
        parquet.write_table(table, tmp_path / "pool.parquet")
        path.write_bytes(gzip.compress((tmp_path / "pool.parquet").read_bytes()))
    elif kind == ".ipc":
        with pa.ipc.new_stream(str(path), table.schema) as stream:
            stream.write_table(table)
    else:
        feather.write_feather(table, str(path))
    place = exported(read_pool(path), str(tmp_path / out))
    found = (parquet.read_table if "parquet" in out else feather.read_table)(str(place))
    assert found.schema.equals(table.schema)
    assert found.to_pylist() == [rows[row] for row in WANTED]


@pytest.mark.parametrize("out", ["best.arrow", "best.parquet", "best.csv"])
def test_a_column_that_the_best_row_lacks_is_written(tmp_path: Path, out: str) -> None:
    rows = [{**row, **({} if i == WANTED[0] else {"source": "web"})} for i, row in enumerate(ROWS)]
    path = exported(read_pool(memory_source(rows, "mine")), str(tmp_path / out))
    read = {"best.csv": pd.read_csv, "best.arrow": pd.read_feather, "best.parquet": pd.read_parquet}[out]
    assert read(path)["source"].fillna("").tolist() == ["", "web", "web"]


@pytest.mark.parametrize("values", [("a", 1), (2**70, 1), ({"a": 1}, [1])])
def test_a_column_without_a_common_type_is_refused_by_name(tmp_path: Path, values: tuple[Any, Any]) -> None:
    rows = [{**row, "mixed": values[i % 2]} for i, row in enumerate(ROWS)]
    pool = read_pool(memory_source(rows, "mine"))
    with pytest.raises(
        ConfigError, match=r"best\.parquet: the values of the column 'mixed' have no common type"
    ):
        exported(pool, str(tmp_path / "best.parquet"))
    assert not (tmp_path / "best.parquet").exists()


def test_a_folder_with_an_equals_sign_adds_no_column(tmp_path: Path) -> None:
    place = tmp_path / "part=7" / "pool.parquet"
    place.parent.mkdir()
    parquet.write_table(pa.Table.from_pylist(ROWS), place)
    found = exported(read_pool(place), str(tmp_path / "best.parquet"))
    assert parquet.read_table(found).column_names == list(ROWS[0])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_of_cells_keeps_its_separator_and_texts(tmp_path: Path, separator: str) -> None:
    path = tmp_path / ("pool.tsv" if separator == "\t" else "pool.csv")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=separator)
        writer.writerows([["instruction", "output"], *([row["instruction"], row["output"]] for row in ROWS)])
    with exported(read_pool(path), str(tmp_path / "best")).open(encoding="utf-8", newline="") as stream:
        found = list(csv.reader(stream, delimiter=separator))
    assert found == [
        ["instruction", "output"],
        *([ROWS[row]["instruction"], ROWS[row]["output"]] for row in WANTED),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".csv.gz"])
@pytest.mark.parametrize(
    "text", ["3 - 2 = 1\n#### 1", "one\rtwo", "one\r\ntwo", "one\n", 'say "yes"', "a,b;c\td"]
)
def test_a_cell_of_several_lines_is_one_cell(tmp_path: Path, text: str, suffix: str) -> None:
    rows = [{"instruction": f"Say {i}.", "output": text} for i in range(9)]
    path = exported(read_pool(memory_source(rows, "mine")), str(tmp_path / f"best{suffix}"))
    frame = pd.read_csv(path, sep="\t" if "tsv" in suffix else ",", lineterminator="\n")
    assert frame.to_dict("records") == [rows[row] for row in WANTED]
    read = read_pool(path).examples
    assert sorted(one.turns[0].instruction for one in read) == sorted(
        rows[row]["instruction"] for row in WANTED
    )


def test_arrow_and_rows_in_memory_can_be_written(tmp_path: Path) -> None:
    pool = read_pool(memory_source(ROWS, "mine"))
    assert pool.name == "mine"
    path = exported(pool, str(tmp_path / "best.arrow"))
    assert feather.read_table(str(path)).to_pylist() == [ROWS[row] for row in WANTED]
    assert exported(pool, str(tmp_path / "best")).suffix == ".jsonl"


@pytest.mark.parametrize("suffix", ["gz", "zst", "bz2", "xz"])
def test_a_compressed_file_is_compressed_as_its_suffix_says(tmp_path: Path, suffix: str) -> None:
    pool = read_pool(memory_source(ROWS, "mine"))
    path = exported(pool, str(tmp_path / f"best.jsonl.{suffix}"))
    assert len(read_pool(path)) == len(WANTED)
    assert not path.read_bytes().startswith(b"{")


def test_a_compressed_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'\.parquet' is not compressed again"):
        place_for(str(tmp_path / "best.parquet.gz"), read_pool(memory_source(ROWS, "mine")))


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"'\.xlsx' is not a format for rows"):
        place_for(str(tmp_path / "best.xlsx"), read_pool(memory_source(ROWS, "mine")))


def test_rows_in_memory_are_the_rows_of_their_file(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    from_file = read_pool(tmp_path / "pool.jsonl")
    datasets = pytest.importorskip("datasets")
    for rows in (ROWS, pd.DataFrame(ROWS), datasets.Dataset.from_list(ROWS)):
        assert read_pool(memory_source(rows, "pool")).fingerprint == from_file.fingerprint


def test_only_an_unchanged_selection_is_overwritten(tmp_path: Path) -> None:
    def scored(name: str) -> Path:
        place = place_for(str(tmp_path / name), pool)
        write_rows(place, pool, chosen(pool))
        write_parquet(scores_place(place), {"id": ["a"]}, facts={SELECTED_SHA256: sha256(place)})
        return place

    pool = read_pool(memory_source(ROWS, "mine"))
    own = tmp_path / "notes.jsonl"
    own.write_text("mine")
    with pytest.raises(
        ConfigError, match=r"exists, and notes\.scores\.parquet does not say .* Give another file"
    ):
        place_for(str(own), pool)
    best = scored("best.jsonl")
    assert scored("best.jsonl") == best
    with pytest.raises(
        ConfigError, match=r"replace those of best\.jsonl in best\.scores\.parquet.* Give another"
    ):
        place_for(str(tmp_path / "best.csv"), pool)
    best.write_text(best.read_text() + "{}")
    with pytest.raises(ConfigError, match="an unchanged selection"):
        place_for(str(best), pool)
    best.unlink()
    assert scored("best.csv").is_file()
    scores_place(best).write_bytes(b"damaged")
    with pytest.raises(ConfigError, match="an unchanged selection"):
        place_for(str(tmp_path / "best.csv"), pool)
