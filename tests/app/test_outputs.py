"""What a run leaves opens in the tools that people read tables with: pandas, datasets, DuckDB."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import pandas as pd
import pytest

from tests.app.commands import given, make_home, manifests, warm

COLUMNS = ["id", "row", "score:refs", "rank", "selected", "answer_tokens", "reason"]
JSON = ["run.json", "manifest.json"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of one job, the manifest of its selection beside them. One of its 40 rows has no answer."""
    home = make_home(tmp_path_factory.mktemp("home"))
    rows = (home / "pool.jsonl").read_text().splitlines()
    rows[7] = json.dumps({**json.loads(rows[7]), "output": ""})
    (home / "pool.jsonl").write_text("".join(row + "\n" for row in rows))
    warm().run([*given(home), "stages=[select]"], cwd=home).check_returncode()
    (run,) = (home / "runs").rglob("run.json")
    (manifest,) = (home / "store" / "selections").glob("*/manifest.json")
    (run.parent / "manifest.json").write_bytes(manifest.read_bytes())
    return run.parent


def test_pandas_reads_the_scores_and_the_selected_rows(folder: Path) -> None:
    scores = pd.read_parquet(folder / "scores.parquet")
    assert list(scores.columns) == COLUMNS
    assert (len(scores), int(scores["selected"].sum())) == (40, 4)
    assert scores.loc[scores["rank"].isna(), "reason"].tolist() == ["empty answer"]
    chosen = scores[scores["selected"]].sort_values("rank")
    assert chosen["score:refs"].is_monotonic_decreasing
    selected = pd.read_json(folder / "selected.jsonl", lines=True)
    assert list(selected.columns) == ["instruction", "input", "output", "mine"]
    assert len(selected) == 4


@pytest.mark.parametrize("name", JSON)
def test_pandas_reads_a_manifest_as_one_row(folder: Path, name: str) -> None:
    held = json.loads((folder / name).read_text())
    row = pd.json_normalize(held, max_level=0)
    assert row.shape == (1, len(held))


def test_datasets_reads_the_scores_and_the_selected_rows(folder: Path, tmp_path: Path) -> None:
    scores, selected = (
        datasets.load_dataset(kind, data_files=str(folder / name), split="train", cache_dir=str(tmp_path))
        for kind, name in (("parquet", "scores.parquet"), ("json", "selected.jsonl"))
    )
    assert scores.column_names == COLUMNS
    assert sum(scores["selected"]) == len(selected) == 4
    assert selected.to_list() == [
        json.loads(line) for line in (folder / "selected.jsonl").read_text().splitlines()
    ]


@pytest.mark.parametrize("name", JSON)
def test_datasets_reads_a_manifest_as_one_row(folder: Path, name: str, tmp_path: Path) -> None:
    read = datasets.load_dataset(
        "json", data_files=str(folder / name), split="train", cache_dir=str(tmp_path)
    )
    assert len(read) == 1
    assert {*read.column_names} == {*json.loads((folder / name).read_text())}


def test_duckdb_reads_every_file(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    best = f"SELECT id FROM '{folder / 'scores.parquet'}' WHERE selected ORDER BY rank"
    assert len(duckdb.sql(best).fetchall()) == 4
    for name, rows in (("selected.jsonl", 4), *((name, 1) for name in JSON)):
        assert duckdb.sql(f"SELECT count(*) FROM read_json('{folder / name}')").fetchone() == (rows,)


def test_the_tracker_has_the_seconds_that_a_result_cost_also_where_it_was_stored(
    home: Path, tmp_path: Path
) -> None:
    words = [*given(home), "selector=length", "stages=[select]"]
    for _ in range(2):
        done = warm().run(words, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    summaries = [json.loads(path.read_text()) for path in sorted((tmp_path / "runs").rglob("summary.json"))]
    first, second = (one["seconds/select"] for one in summaries)
    assert first == second == manifests(tmp_path)[0]["seconds"]["select"]
    assert {"elapsed/select"} < summaries[1].keys()
