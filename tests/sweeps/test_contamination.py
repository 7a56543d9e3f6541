"""Laws of the report's section on contamination: it says what was looked at, and of two pools of one name both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nait.core.dataset.contamination import Contamination, EvaluationText
from nait.core.dataset.examples import Example, Pool, Turn, as_target, gather
from nait.stages.checks.detect_contamination import find_contamination
from nait.store import Store
from nait.sweeps.reports.full_report import Report

from .fixtures import put

ASKED = "how many grey geese fly south over the water today"
CLEAN = "what is the sum of two and forty and three"


class Suite:
    """An evaluator of one task, named as the target, with an item too short to be told; the data of another lack."""

    def key(self) -> Mapping[str, Any]:
        return {"tasks": {"math": {"data": "d"}}, "missing": ["mmlu_law"]}

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        return {"math": [EvaluationText("41", (ASKED,)), EvaluationText("42", ("2 + 2",))]}


def pool(*asked: str) -> Pool:
    return gather("p", [Example(f"r{i}", (Turn(text, "yes"),), row=i) for i, text in enumerate(asked)])


TARGET = as_target(gather("math", [Example("t", (Turn(CLEAN, "yes"),))]))


def look(store: Store, rows: Pool, suite: Any = None) -> dict[str, str]:
    made = find_contamination(rows, [TARGET], evaluator=suite, rule=Contamination(), store=store)
    return {"contamination": made.address}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def section(store: Store, folder: Path) -> str:
    Report().report(store, None, folder)
    return (folder / "report.md").read_text().split("Contamination", 1)[1].split("\n## ")[0]


def test_what_was_looked_at_is_counted_and_what_was_not_is_named(store: Store, tmp_path: Path) -> None:
    put(store, "nait", also=look(store, pool("something else that is quite clean"), Suite()))
    text = " ".join(section(store, tmp_path).split())
    assert (
        "2 items of the task math were searched for in 1 rows of the pool p and in 1 rows of the target math."
        in text
    )
    assert "1 items of the task math are below 5 words: copies of them are not found." in text
    assert "The task mmlu\\_law was not compared: its data are missing." in text.replace(
        "mmlu_law", "mmlu\\_law"
    )
    assert "No text of the tasks math was found in the pool p or the target math." in text


def test_where_no_evaluation_was_looked_at_nothing_is_clean(store: Store, tmp_path: Path) -> None:
    put(store, "nait", also=look(store, pool(ASKED)))
    text = section(store, tmp_path)
    assert "The evaluation was not searched" in text
    assert "No text of" not in text


def test_unchecked_runs_are_counted_with_checked_ones(store: Store, tmp_path: Path) -> None:
    put(store, "nait", also=look(store, pool(ASKED), Suite()))
    put(store, "random")
    text = section(store, tmp_path)
    assert "not checked in 1 of 2 runs: random (math, 10%, seed 0)" in text
    assert "No text of" not in text


def test_two_pools_of_one_name_keep_their_own_hits(store: Store, tmp_path: Path) -> None:
    pools = [pool(ASKED, "one"), pool("another row", ASKED)]
    for name, rows in zip(("nait", "rds"), pools, strict=True):
        put(store, name, also=look(store, rows, Suite()))
    text = section(store, tmp_path)
    for rows in pools:
        assert f"1 row(s) of pool p ({rows.fingerprint[:8]}) share text with task math" in text


def test_a_target_named_like_a_task_has_lines_of_its_own(store: Store, tmp_path: Path) -> None:
    put(store, "nait", also=look(store, pool(ASKED, CLEAN), Suite()))
    text = section(store, tmp_path)
    assert "1 row(s) of pool p share text with task math, such as row r0 with 41" in text
    assert "1 row(s) of pool p share text with target math, such as row r1 with t" in text
