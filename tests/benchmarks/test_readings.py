"""Laws of the planted pool, and of the table of readings on it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from benchmarks import readings
from benchmarks.planted import family, plant
from nait.models.loading import LocalModel
from tests.families import save

ROWS = 12


def put(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small mirror in the Hub's layout."""
    folder = tmp_path_factory.mktemp("data")
    hub, train, valid = folder / "hub", "train-00000-of-00001.parquet", "validation-00000-of-00001.parquet"
    numbers = range(ROWS)
    put(hub / "tatsu-lab/alpaca/data" / train,
        [{"instruction": f"Name {i}", "input": "", "output": f"It is {i}"} for i in range(30)])  # fmt: skip
    put(
        hub / "openai/gsm8k/main" / train,
        [{"question": f"{i} + 1?", "answer": f"#### {i + 1}"} for i in numbers],
    )
    put(
        hub / "openai/gsm8k/main/test-00000-of-00001.parquet",
        [{"question": "hidden", "answer": "hidden"}] * 3,
    )
    mmlu = [{"question": f"Which {i}?", "choices": ["a", "b", "c", "d"], "answer": i % 4} for i in numbers]
    put(hub / "cais/mmlu/anatomy" / valid, mmlu)
    mbpp = [{"text": f"Write f{i}", "code": f"def f{i}(): return {i}"} for i in numbers]
    put(hub / "google-research-datasets/mbpp/full" / train, mbpp[:6])
    put(hub / "google-research-datasets/mbpp/full" / valid, mbpp[6:])
    put(hub / "google/xquad/xquad.de" / valid,
        [{"context": f"Es sind {i}.", "question": "Wie viele?", "answers": {"text": [str(i)], "answer_start": [8]}}
         for i in numbers])  # fmt: skip
    return folder


def test_a_family_is_read_from_the_hubs_layout_without_a_test_row(data: Path) -> None:
    assert len(family("gsm8k", data)) == len(family("mbpp", data)) == ROWS
    assert not [row for row in family("gsm8k", data) if "hidden" in row.values()]
    assert family("xquad_de", data)[3] == {
        "instruction": "Wie viele?", "input": "Es sind 3.", "output": "3"
    }  # fmt: skip
    assert family("mmlu", data)[1]["output"] == "B. b"


def test_reference_rows_are_not_in_the_pool(data: Path, tmp_path: Path) -> None:
    plant(data, tmp_path, ["gsm8k", "mbpp"], alpaca=5, planted=4, reference=3, seed=0)
    pool = [json.loads(line) for line in (tmp_path / "pool.jsonl").read_text().splitlines()]
    assert sorted(row["family"] for row in pool) == ["alpaca"] * 5 + ["gsm8k"] * 4 + ["mbpp"] * 4
    reference = [json.loads(line) for line in (tmp_path / "gsm8k.jsonl").read_text().splitlines()]
    assert len(reference) == 3
    assert not {row["instruction"] for row in reference} & {row["instruction"] for row in pool}


def test_a_family_that_is_not_known_or_too_small_is_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no family 'gsm9k'\. Known: gsm8k, mmlu"):
        family("gsm9k", data)
    with pytest.raises(SystemExit, match=r"mmlu: .* holds 12 rows, 40 are needed"):
        plant(data, tmp_path, ["mmlu"], alpaca=5, planted=30, reference=10, seed=0)


def test_the_table_has_a_line_a_selector_and_is_printed_again_without_a_model(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, out = save(tmp_path / "model"), tmp_path / "out"
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 1024}))
    monkeypatch.setattr(sys, "argv", [
        "readings", "--data", str(data), "--model", str(model), "--out", str(out), "--alpaca", "10",
        "--planted", "5", "--reference", "4", "--device", "cpu",
        "--max-length", "512",
    ])  # fmt: skip
    readings.main()
    first = capsys.readouterr().out
    lines = [line.split("|")[1:-1] for line in first.splitlines() if line.startswith("| ")]
    heads, *rows = ([cell.strip() for cell in line] for line in lines)
    assert heads[:6] == ["selector", "gsm8k", "mbpp", "xquad_de", "mmlu", "mean precision"]
    assert [row[0] for row in rows] == list(readings.SELECTORS)
    for row in rows:
        precisions = [float(cell.split()[0]) for cell in row[1:5]]
        assert all(0 <= value <= 1 for value in precisions)
        assert float(row[5]) == pytest.approx(sum(precisions) / 4, abs=0.011)
    # random, RDS+ and the contrast have no sign rule
    assert [bool(row[6]) for row in rows] == [True] * 5 + [False] * 3
    monkeypatch.setattr(LocalModel, "load_network", lambda _: pytest.fail("the model was opened"))
    readings.main()
    assert capsys.readouterr().out == first
