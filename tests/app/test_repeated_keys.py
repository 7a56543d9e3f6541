"""Laws of keys that are given twice: no override and no file loses a value without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from nait.cli.command.quoting import readable
from nait.core.errors import ConfigError
from nait.core.inputs.repeated_keys import repeated_in_text
from nait.eval.suites.task_definitions import read_definition
from nait.models.prompts.templates import read_template
from tests.app.commands import Run


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("target.paths={math: a.jsonl, math: b.jsonl}", "math"),
        ("+target.paths={math: a.jsonl, 'math': b.jsonl}", "math"),
        ("data.columns={a: {c: 1, c: 2}}", "c"),
        ("report.benchmarks={a: [x, y], b: z, a: w}", "a"),
    ],
)
def test_a_key_twice_in_an_override_is_refused_by_its_name(word: str, name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is given twice") as caught:
        readable([word])
    assert caught.value.where == word.partition("=")[0]
    assert "only the last value" in str(caught.value)


@pytest.mark.parametrize(
    "value",
    ["{a: {x: 1}, b: {x: 2}}", "[{a: 1}, {a: 2}]", "{a: 'x, a: y', b: 1}", "{a: ${x:y}, b: ${x:z}}", "${a:b}",
     "{a: http://x, b: http://y}", "{a: [1, 2], b: [1, 2]}", "plain"],
)  # fmt: skip
def test_a_key_once_in_each_mapping_is_not_repeated(value: str) -> None:
    assert repeated_in_text(value) is None


def test_the_name_of_a_file_may_look_like_a_mapping() -> None:
    assert readable(["data.path={a:x,a:y}.jsonl"])


def test_a_key_twice_in_a_template_or_a_task_is_refused_with_its_line(tmp_path: Path) -> None:
    template, task = tmp_path / "template.yaml", tmp_path / "task.yaml"
    template.write_text("prompt: a\nanswer: b\nprompt: c\n")
    with pytest.raises(ConfigError, match=r"template.yaml line 3: 'prompt' is given twice"):
        read_template(str(template))
    task.write_text("task: t\nmetadata: {version: 1, version: 2}\n")
    with pytest.raises(ConfigError, match=r"task.yaml line 2: 'version' is given twice"):
        read_definition(task)


def test_a_key_twice_in_a_config_of_the_user_s_is_refused_with_its_line(nait: Run, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "selector"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "# Mine.\nname: mine\n_target_: nait.baselines.controls.random.Random\nseed: 1\nseed: 2\n"
    )
    done = nait("--config-dir", str(tmp_path / "conf"), "selector=mine", "stages=[select]")
    assert done.returncode == 2
    assert "mine.yaml line 5: 'seed' is given twice" in done.stderr
    assert "Traceback" not in done.stderr
