"""Which files decide what a task's own functions give."""

from __future__ import annotations

from pathlib import Path

from nait.eval.suites.source_files import sources

TASKS = Path(__file__).parents[2] / "eval" / "tasks" / "nano" / "tasks.py"


def names(files: list[Path]) -> set[str]:
    return {f"{path.parent.name}/{path.name}" for path in files}


def test_what_the_items_are_made_by_is_named_and_what_only_stands_beside_it_is_not() -> None:
    found = names(sources(TASKS))
    assert {"nano/tasks.py", "nano/world.py", "nano/words.py", "families/logic.py"} <= found
    assert not found & {"nano/pools.py", "nano/pretrain.py", "nano/oracle.py"}


def test_a_file_that_imports_nothing_of_ours_stands_alone(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("import json\nfrom datasets import Dataset\nfrom naitly import x\n")
    assert sources(file) == [file]


def test_relative_imports_lead_on_from_the_package_they_stand_in(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("from ..problems import Skill\n")
    assert "nano/problems.py" in names(sources(file, "nait.nano.families"))


def test_a_changed_import_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "rows.py"
    file.write_text("import json\n")
    assert len(sources(file)) == 1
    file.write_text("import nait.nano.vocabulary\n")
    assert len(sources(file)) > 1
