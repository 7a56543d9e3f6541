"""Task files of the user are code: they need `eval.trust_task_code=true`, and their templates run in a sandbox."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, StrictUndefined
from jinja2.exceptions import SecurityError, UndefinedError

from nait.core.errors import ConfigError
from nait.eval.harness import LmEval
from nait.eval.isolation import _sandboxed
from nait.eval.suites.generated_code import METRICS
from nait.eval.suites.task_definitions import library

Make = Callable[..., LmEval]
SAFE = "task: mine\ndataset_path: json\ndataset_kwargs: {data_files: {test: %s}}\ntest_split: test\n"
CODE = {
    "a function for the text": "doc_to_text: !function rows.text\n",
    "an installed function": "doc_to_text: !function os.system\n",
    "a function in a filter": "filter_list: [{name: x, filter: [{function: y, filter_fn: !function os.system}]}]\n",
    "a function as a metric": "metric_list: [{metric: !function rows.metric}]\n",
    "a class": "class: !function rows.Task\n",
    "a metric of the Hub": "metric_list: [{metric: exact_match, hf_evaluate: true}]\n",
    "a script as a metric": "metric_list: [{metric: /tmp/evil.py}]\n",
    "a metric of the working folder": "metric_list: [{metric: evil}]\n",
    "a generation by a script": "generation_kwargs: {until: [], custom_generate: /tmp, trust_remote_code: true}\n",
    "a function of the harness": f"include: {library() / 'ifeval' / 'ifeval.yaml'}\n",
}
WORDS = r"mine \((!function|metric|generation_kwargs) .*eval\.trust_task_code=true"


def task(folder: Path, more: str) -> dict[str, Any]:
    (folder / "rows.jsonl").write_text('{"question": "a", "answer": "b"}\n')
    (folder / "mine.yaml").write_text(SAFE % (folder / "rows.jsonl") + more)
    return {"tasks": ["mine"], "include": [str(folder)]}


@pytest.mark.parametrize("name", CODE)
def test_task_files_that_run_code_are_refused_without_trust(name: str, tmp_path: Path) -> None:
    asked = task(tmp_path, CODE[name])
    with pytest.raises(ConfigError, match=WORDS):
        LmEval(**asked).check()
    LmEval(**asked, trust_task_code=True).check()


@pytest.mark.parametrize(
    "member",
    [
        "{task: mine, process_docs: !function os.system}",
        "{task: nano_math, process_docs: !function os.system}",
        "{task: nano_math, metric_list: [{metric: evil}]}",
        "{task: nano_math, generation_kwargs: {custom_generate: /tmp, trust_remote_code: true}}",
        "{task: new, dataset_path: sql, metric_list: [{metric: exact_match}]}",
        "{task: new, dataset_path: json, metric_list: [{metric: evil}]}",
        "{group: inner, task: [nano_math], metric_list: [{metric: evil}]}",
        "{task: nano_math, dataset_path: json}",
    ],
)
def test_a_group_cannot_hide_the_code_of_its_tasks(member: str, tmp_path: Path) -> None:
    task(tmp_path, "")
    (tmp_path / "all.yaml").write_text(f"group: all\ntask: [{member}]\n")
    with pytest.raises(ConfigError, match="trust_task_code"):
        LmEval(["all"], include=[str(tmp_path)]).check()


def test_an_included_file_cannot_hide_code(tmp_path: Path) -> None:
    (tmp_path / "_base").write_text(CODE["an installed function"])
    with pytest.raises(ConfigError, match="trust_task_code"):
        LmEval(**task(tmp_path, "include: _base\n")).check()


@pytest.mark.parametrize("option", ["cache_dir: /tmp/elsewhere", "storage_options: {key: x}", "token: x"])
def test_a_reader_that_writes_elsewhere_or_signs_in_needs_trust(option: str, tmp_path: Path) -> None:
    asked = task(tmp_path, "")
    file = tmp_path / "mine.yaml"
    file.write_text(file.read_text().replace("{data_files:", f"{{{option}, data_files:"))
    with pytest.raises(ConfigError, match=r"mine \(dataset_kwargs .*trust_task_code"):
        LmEval(**asked).check()
    LmEval(**asked, trust_task_code=True).check()


@pytest.mark.parametrize(
    "own",
    [
        "include: _base\ndoc_to_text: plain\n",
        "<<: {doc_to_text: !function os.system}\ndoc_to_text: plain\n",
        "metadata: {? !function os.system : 1}\n",
        "metadata: !!set {? !function os.system }\n",
    ],
    ids=["a file that it includes", "a merge", "a key", "a set"],
)
def test_a_function_that_the_definition_overrides_counts(own: str, tmp_path: Path) -> None:
    """The harness imports a function where it reads it, whether it is used or not."""
    (tmp_path / "_base").write_text(CODE["an installed function"])
    with pytest.raises(ConfigError, match=r"!function os\.system.*trust_task_code"):
        LmEval(**task(tmp_path, own)).check()


def test_a_device_or_a_pipe_in_place_of_a_task_file_is_refused_and_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe\.yaml: is not a regular file"):
        LmEval(**task(tmp_path, "")).check()
    (tmp_path / "pipe.yaml").unlink()
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    with pytest.raises(ConfigError, match="is not a regular file"):
        LmEval(**task(tmp_path, "include: zero.yaml\n")).check()


def test_aliases_that_multiply_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 40)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=r"bomb\.yaml: aliases repeat its parts too often"):
        LmEval(**task(tmp_path, "")).check()


def test_task_files_without_code_need_no_trust(tmp_path: Path) -> None:
    LmEval(**task(tmp_path, "doc_to_text: '{{question}}'\nmetric_list: [{metric: exact_match}]\n")).check()
    LmEval(["nano_math"], include=[str(tmp_path)]).check()


def test_the_metrics_that_need_no_trust_are_those_of_the_harness() -> None:
    import lm_eval.api.metrics  # noqa: F401  # registers them
    from lm_eval.api.registry import METRIC_REGISTRY

    assert {*METRICS} <= {*METRIC_REGISTRY}


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ question.format.__globals__ }}",
        "{{ '{0.__class__}'.format(question) }}",
        "{% set _ = choices.append(1) %}",
    ],
)
def test_templates_of_tasks_reach_no_code(template: str) -> None:
    environment = Environment(keep_trailing_newline=True, undefined=StrictUndefined)  # as the harness's
    environment.filters["twice"] = lambda text: text * 2
    sandbox = _sandboxed(environment)
    assert sandbox.from_string("{{ question | twice }}\n").render(question="a") == "aa\n"
    with pytest.raises((SecurityError, UndefinedError)):
        sandbox.from_string(template).render(question="a", choices=["b"])


@pytest.mark.parametrize("text", ["a: " + "[" * 5000 + "]" * 5000, "a: 2001-99-99", "a: !!int x"])
def test_yaml_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"odd\.yaml: the task file cannot be read"):
        LmEval(**task(tmp_path, "")).check()
