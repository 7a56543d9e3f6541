"""Parquet files of an artifact are read as they are, wherever the store lies."""

from __future__ import annotations

from pathlib import Path

from nait.stages.artifacts.score_files import read_parquet, write_parquet


def test_a_folder_with_an_equals_sign_adds_no_column(tmp_path: Path) -> None:
    place = tmp_path / "size=7" / "scores.parquet"
    place.parent.mkdir()
    write_parquet(place, {"id": ["a", "b"], "rank": [2, 1]})
    assert read_parquet(place).column_names == ["id", "rank"]
    assert read_parquet(place, columns=["rank"]).to_pydict() == {"rank": [2, 1]}
