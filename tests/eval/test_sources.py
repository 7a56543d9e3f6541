"""Which files decide what a task's own functions give."""

from __future__ import annotations

from pathlib import Path

from nait.eval.suites.source_files import code_digests, sources

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
