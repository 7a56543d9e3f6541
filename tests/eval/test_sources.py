"""Which files decide what a task's own functions give."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from nait.eval.suites.requirements import task_digest
from nait.eval.suites.source_files import code_digests, own_modules, sources
from nait.eval.suites.suite import Task
from nait.eval.suites.task_definitions import Entry, read_definition

TASKS = Path(__file__).parents[2] / "eval" / "tasks" / "nano" / "tasks.py"


def names(files: list[Path]) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in files}


def test_the_sources_of_items_are_their_imports_and_not_other_files_of_the_folder() -> None:
    found = names(sources(TASKS))
    assert {"nano/tasks.py", "nano/world.py", "nano/vocabulary.py", "families/logic.py"} <= found
    assert not found & {"nano/pools.py", "nano/pretrain.py", "nano/oracle.py"}


def test_a_file_without_own_imports_is_its_only_source(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("import json\nfrom datasets import Dataset\nfrom naitly import x\n")
    assert sources(file) == [file]


def test_relative_imports_are_resolved_from_their_package(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("from ..problems import Skill\n")
    assert "nano/problems.py" in names(sources(file, "nait.nano.families"))


def test_a_changed_import_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("import json\n")
    assert len(sources(file)) == 1
    file.write_text("import nait.nano.vocabulary\n")
    assert len(sources(file)) > 1


def test_words_about_the_code_and_its_place_do_not_change_its_digest(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text(
        '"""Rows."""\nfrom a.b import c\n\n\ndef rows():\n    """All."""\n    return c("# 1")  # so\n'
    )
    other.write_text('"""Items, as rows."""\nfrom b import c\n\ndef rows():\n    return c("# 1")\n')
    assert code_digests([one]) == code_digests([other])


def test_other_code_has_another_digest(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("def rows():\n    return 1\n")
    before = code_digests([file])
    file.write_text("def rows():\n    return 2  # one more\n")
    assert code_digests([file]) != before


def test_source_code_next_to_an_import_counts(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("import json; ROWS = 1\n")
    before = code_digests([file])
    file.write_text("import json; ROWS = 2\n")
    assert code_digests([file]) != before


def test_the_users_own_modules_elsewhere_are_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of a task file may be in any importable module: an edit there gives other numbers."""
    (tmp_path / "elsewhere" / "scoring").mkdir(parents=True)
    for name, text in (
        ("__init__.py", ""),
        ("rules.py", "from . import words\nfrom scoring import sets\n"),
        ("words.py", "LIMIT = 1\n"),
        ("sets.py", ""),
        ("unused.py", ""),
    ):
        (tmp_path / "elsewhere" / "scoring" / name).write_text(text)
    task = tmp_path / "task.yaml"
    task.write_text("task: own\ntest_split: test\nprocess_results: !function scoring.rules.score\n")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")

    def digest() -> str:
        config = read_definition(task)
        return task_digest(Task("own", Entry("own", "task", task, config), {}))

    before = digest()
    (tmp_path / "elsewhere/scoring/unused.py").write_text("x = 1\n")
    assert digest() == before
    (tmp_path / "elsewhere/scoring/words.py").write_text("LIMIT = 22\n")
    assert digest() != before
    assert "scoring" not in sys.modules, "a module was imported"
    assert own_modules("json.decoder") == own_modules("datasets.load") == own_modules("lm_eval.utils") == []
