"""The example script runs as it is, and its file loads in the formats that the page on other tools gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import datasets
import pytest
import yaml

from nait.cli.selection.exported_rows import write_rows
from nait.core.ranking.selection import Selection
from nait.data.pools import read_pool
from tests.app.commands import warm

DOCS = Path(__file__).resolve().parents[2] / "docs"
SCRIPT = DOCS / "examples" / "select_and_explain.py"
PAGE = (DOCS / "train-elsewhere.md").read_text(encoding="utf-8")
WANTED = (5, 0, 3)
POOLS: dict[str, list[dict[str, Any]]] = {
    "messages": [
        {
            "messages": [{"role": "user", "content": f"Say {i}"}, {"role": "assistant", "content": f"{i}!"}],
            "n": i,
        }
        for i in range(8)
    ],
    "prompt": [{"prompt": f"Say {i}", "completion": f"{i}!"} for i in range(8)],
    "alpaca": [
        {"instruction": f"Say {i}", "input": "twice" if i % 2 else "", "output": f"{i}!"} for i in range(8)
    ],
}


def blocks(language: str) -> list[str]:
    """The page's blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(params=sorted(POOLS))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A saved selection of a pool in each format."""
    path = tmp_path / "pool.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in POOLS[request.param]))
    pool = read_pool(path)
    places = {example.row: place for place, example in enumerate(pool.examples)}
    rows = tuple(places[row] for row in WANTED)
    write_rows(tmp_path / "best.jsonl", pool, Selection(tuple(pool.ids[row] for row in rows), rows, 3))
    return request.param, tmp_path / "best.jsonl"


def test_the_script_runs_and_saves_what_it_selected(tmp_path: Path) -> None:
    done = warm().run([], cwd=tmp_path, script=str(SCRIPT))
    assert done.returncode == 0, done.stderr
    assert "100 rows by nait_contrast" in done.stdout
    assert "selected True" in done.stdout
    assert "selected False" in done.stdout
    rows = datasets.load_dataset("json", data_files=str(tmp_path / "best.jsonl"), split="train")
    assert len(rows) == 100
    assert {"instruction", "input", "output"} <= set(rows.column_names)


def test_trl_reads_the_rows(saved: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    kind, path = saved
    monkeypatch.chdir(path.parent)
    load, _, convert = blocks("python")
    found: dict[str, Any] = {}
    exec(load, found)
    if kind == "alpaca":
        exec(convert, found)
    rows = found["rows"]
    assert len(rows) == len(WANTED)
    if kind == "messages":
        expected = [POOLS[kind][row]["messages"] for row in WANTED]
        assert [list(row["messages"]) for row in rows] == expected
    elif kind == "prompt":
        assert rows.to_list() == [POOLS[kind][row] for row in WANTED]
    else:
        assert [row["prompt"][0]["content"] for row in rows] == ["Say 5\ntwice", "Say 0", "Say 3\ntwice"]
        assert [row["completion"] for row in rows] == [
            [{"role": "assistant", "content": f"{row}!"}] for row in WANTED
        ]


def test_axolotl_finds_its_fields(saved: tuple[str, Path]) -> None:
    kind, path = saved
    given = [yaml.safe_load(text)["datasets"][0] for text in blocks("yaml")]
    types = {"messages": "chat_template", "alpaca": "alpaca"}
    if kind not in types:
        return
    (entry,) = [one for one in given if one["type"] == types[kind]]
    assert (entry["path"], entry["ds_type"]) == (path.name, "json")
    row = json.loads(path.read_text().splitlines()[0])
    if kind == "alpaca":
        assert all(isinstance(row[name], str) for name in ("instruction", "input", "output"))
    else:
        keys = set(entry["message_property_mappings"].values())
        assert all(keys <= set(message) for message in row[entry["field_messages"]])


def test_llama_factory_finds_its_columns(saved: tuple[str, Path]) -> None:
    kind, path = saved
    given = [json.loads(text)["best"] for text in blocks("json")]
    formats = {"messages": "sharegpt", "alpaca": "alpaca"}
    if kind not in formats:
        return
    (entry,) = [one for one in given if one["formatting"] == formats[kind]]
    assert entry["file_name"] == path.name
    rows = datasets.load_dataset("json", data_files=str(path), split="train")  # as LLaMA-Factory does
    assert set(entry["columns"].values()) <= set(rows.column_names)
    tags = entry.get("tags", {})
    for message in [message for row in rows for message in row.get("messages", [])]:
        assert {tags["role_tag"], tags["content_tag"]} <= set(message)
        assert message[tags["role_tag"]] in (tags["user_tag"], tags["assistant_tag"], tags["system_tag"])
