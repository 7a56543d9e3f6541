"""The record of a run may come from elsewhere: reading it runs no code, and errors name the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nait.cli.config.composed_config import composed
from nait.cli.config.plain_config import build
from nait.cli.config.short_options import AskedSize, select_words
from nait.cli.selection.recorded_code import check_command, check_record, shipped
from nait.cli.selection.selection_runs import recorded_selection
from nait.cli.subcommands.listing import shown
from nait.core.errors import ConfigError, NaitError

PARTS: dict[str, Any] = {
    "data": {"_target_": "nait.data.pools.read_pool", "path": "pool.jsonl"},
    "target": {"_target_": "nait.data.pools.read_target", "path": "refs.jsonl"},
    "selector": {"_target_": "nait.baselines.rds.Rds", "name": "rds"},
    "model": {"_target_": "nait.models.loading.LocalModel", "path": "model", "trust_remote_code": False},
    "eval": {"_target_": "nait.eval.harness.LmEval", "trust_task_code": True},
    "order": {}, "budget": {}, "template": {}, "engine": {}, "train": {}, "cost": {}, "report": {}, "tracking": {},
    "seed": 0, "group": None, "label": None, "plan": False, "beside": [],
    "paths": {"store": "store"}, "store": {"wait_seconds": None, "limit_gb": 9}, "stages": ["select"],
    "options": {"selector": "rds"},
    "command": "nait data.path='${x}'",
}  # fmt: skip


def written(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    config = json.loads(json.dumps(PARTS))
    change(config)
    record = {"config": config, "links": {"selection": "0" * 32, "scores": "0" * 32}, "warnings": []}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


RUNS_CODE: dict[str, Callable[[dict[str, Any]], object]] = {
    "another package": lambda config: config["selector"].update(_target_="os.system", command="touch owned"),
    "a nested part": lambda config: config["model"].update(name={"_target_": "os.system", "command": "touch owned"}),
    "a part in a list": lambda config: config["data"].update(more=[{"_target_": "os.system"}]),
    "a function of this package": lambda config: config["report"].update(_target_="nait.hub.uploads.upload_folder"),
    "code of a model": lambda config: config["model"].update(trust_remote_code=True),
    "code of a task": lambda config: config.update(stages=["select", "evaluate"]),
    "a list in place of a class": lambda config: config["selector"].update(_target_=["os.system"]),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS_CODE)
def test_a_record_that_leads_to_code_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match=r"may run code \(config\..*add --trust"):
        recorded_selection(written(tmp_path, RUNS_CODE[name]))
    assert not (tmp_path / "owned").exists()
    check_record(json.loads((tmp_path / "run.json").read_text()), tmp_path / "run.json", trusted=True)


def test_a_record_of_this_package_is_read_and_its_store_is_not_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="the store no longer has the selection"):
        recorded_selection(written(tmp_path))
    assert not (tmp_path / "store").exists()
    assert {"nait.baselines.rds.Rds", "nait.core.ranking.orders.BestRank"} <= shipped()


@pytest.mark.parametrize(
    "text", ["${oc.env:HOME}/x", "\\${oc.env:HOME}", "\\\\${seed}", "a\\b", "$x^{", "${", "{}"]
)
def test_texts_of_a_plain_config_are_not_resolved_again(text: str) -> None:
    node = {"_target_": "nait.core.dataset.examples.Turn", "answer": "", "instruction": text}
    assert build(node).instruction == text
    assert build({**node, "instruction": [text, {"x": text}]}).instruction == [text, {"x": text}]


def test_a_file_is_named_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NAME", "value")
    name = "${oc.env:SOME_NAME} ${seed}.jsonl"
    words = select_words(pool=name, like=name, model="nano", size=AskedSize("10%", None, None), method="rds")
    with composed([*words, "model.max_length=64"], command="") as composition:
        assert composition.plain["data"]["path"] == name
        assert composition.plain["target"]["path"] == name


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{\n  "status": "running", "x": ' + DEEP + "}", "{}", "null", "3", '"x"', DEEP,
     '{"config": []}', '{"config": {}, "links": [], "warnings": 3}',
     '{"rows": 3}', '{"rows": {"pool": {"rows": "many"}}}', '{"rows": {"pool": {"rows": 1}}, "seconds": {"x": "y"}}',
     '{"rows": {"pool": {"rows": 1}}, "seconds": {"x": 1e999}}', '{"rows": {"pool": {"rows": 1}}, "warnings": {}}'],
)  # fmt: skip
def test_a_damaged_record_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(NaitError, match=r"run\.json"):
        shown(str(tmp_path), "store", as_json=False)
    with pytest.raises(NaitError, match=r"run\.json"):
        recorded_selection(tmp_path)


@pytest.mark.parametrize(
    "text", ["3", '{"results": 3}', '[{"task": "x"}]', '[{"task": 1, "metric": "", "value": 1}]']
)
def test_damaged_results_are_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"rows": {"pool": {"rows": 1}}}')
    (tmp_path / "results.json").write_text(text)
    with pytest.raises(NaitError, match=r"results\.json"):
        shown(str(tmp_path), "store", as_json=False)


def test_a_record_with_control_characters_is_shown_on_one_line_each(tmp_path: Path) -> None:
    record = {"rows": {"pool": {"rows": 1}}, "target": "a\nb\x1b[2J", "seconds": {"x\ny\x1b": 1.0}}
    (tmp_path / "run.json").write_text(json.dumps(record))
    text = shown(str(tmp_path), "store", as_json=False)
    assert "a b\\x1b[2J" in text
    assert "x y\\x1b s" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    "word",
    ["eval.vllm.python=/tmp/x", "+eval.vllm={python: /tmp/x}", "eval={backend: vllm}", "eval.backend=vllm"],
)
def test_a_recorded_command_starts_no_program_without_trust(word: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="running its command again may run code"):
        check_command([word], tmp_path, trusted=False)
    check_command([word], tmp_path, trusted=True)


def test_a_damaged_file_of_scores_beside_rows_is_named(tmp_path: Path) -> None:
    (tmp_path / "selected.jsonl").write_text('{"instruction": "a", "output": "b"}\n')
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 and more")
    with pytest.raises(NaitError, match=r"scores\.parquet: cannot be read"):
        shown(str(tmp_path / "selected.jsonl"), "store", as_json=False)


@pytest.mark.parametrize("target", ["os.system", True, "nait.core.errors.MANY"])
def test_a_target_that_hydra_refuses_is_one_message(target: object) -> None:
    with pytest.raises(ConfigError):
        build({"_target_": target})
