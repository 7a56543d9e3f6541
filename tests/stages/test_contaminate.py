"""Laws of the contamination stage: hits are found once, kept, and left out of the pool when asked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.dataset.contamination import Contamination, EvaluationText, Side
from nait.core.dataset.examples import Example, Turn, as_target, gather
from nait.stages.checks.contamination_text import describe, evaluated
from nait.stages.checks.detect_contamination import HITS, decontaminated, find_contamination, read_hits
from nait.store import Store
from tests.older_stores import without_checksums

ASKED = "how many grey geese fly south over the water today"
BEYOND = "how many white swans fly north over the land tomorrow"
REFERENCE = "what is the sum of two and forty and three"


class Suite:
    """An evaluator of one task that counts how often its items are read."""

    def __init__(self) -> None:
        self.read = 0

    def key(self) -> Mapping[str, Any]:
        return {"tasks": ["geese"]}

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        self.read += 1
        return {"geese": [EvaluationText("41", (ASKED,))]}


def rows(*texts: str, name: str = "pool") -> Any:
    return gather(name, [Example(f"r{i}", (Turn(text, f"yes {i}"),), row=i) for i, text in enumerate(texts)])


POOL = rows("Say hello.", ASKED.upper(), REFERENCE)
TARGET = as_target(rows(REFERENCE, "something else entirely different here", name="math"))


def test_hits_are_found_once_and_named(tmp_path: Path) -> None:
    suite, rule = Suite(), Contamination()
    for _ in range(2):
        made = find_contamination(POOL, [TARGET], evaluator=suite, rule=rule, store=Store(tmp_path))  # type: ignore[arg-type]
    assert suite.read == 1
    hits = read_hits(made)
    assert {(hit.id, hit.other.name, hit.other_id) for hit in hits} == {
        ("r1", "geese", "41"),
        ("r2", "math", "r0"),
    }
    said = " ".join(describe(hits))
    assert "1 row(s) of pool pool share text with task geese, such as row r1 with 41" in said


class Limited(Suite):
    """Two items of a task with a limit, the second one beyond it."""

    def key(self) -> Mapping[str, Any]:
        return {"tasks": ["geese"], "limit": 42}

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        return {"geese": [EvaluationText("41", (ASKED,)), EvaluationText("42", (BEYOND,), evaluated=False)]}


def test_a_row_has_a_hit_on_each_side_of_the_limit_and_is_one_row(tmp_path: Path) -> None:
    both = gather("pool", [Example("r1", (Turn(ASKED, BEYOND),), row=0)])
    made = find_contamination(both, [], evaluator=Limited(), rule=Contamination(), store=Store(tmp_path))  # type: ignore[arg-type]
    hits = read_hits(made)
    assert [(hit.id, hit.other_id, hit.evaluated) for hit in hits] == [
        ("r1", "41", True),
        ("r1", "42", False),
    ]
    (said,) = describe(hits)
    assert "1 row(s) of pool pool" in said
    assert "1 share text with an item that is evaluated, 0 with items left out by eval.limit" in said
    assert evaluated(made.manifest) == {"geese": 1}


def test_a_look_without_a_limit_keeps_its_address(tmp_path: Path) -> None:
    key = find_contamination(
        POOL, [], evaluator=Suite(), rule=Contamination(), store=Store(tmp_path)
    ).manifest["key"]  # type: ignore[arg-type]
    assert set(key) == {"contamination", "ngram", "pool", "targets", "suite"}


def test_contamination_hits_of_older_stores_are_classified_by_their_item_number(tmp_path: Path) -> None:
    made = find_contamination(
        POOL, [TARGET], evaluator=Limited(), rule=Contamination(), store=Store(tmp_path)
    )  # type: ignore[arg-type]
    marked = read_hits(made)
    path = made.path / HITS
    plain = [
        {name: value for name, value in one.items() if name != "evaluated"}
        for one in json.loads(path.read_text())
    ]
    without_checksums(made.path)
    path.write_text(json.dumps(plain))
    assert read_hits(made) == marked


def test_only_rows_of_the_evaluation_are_left_out(tmp_path: Path) -> None:
    made = find_contamination(
        POOL, [TARGET], evaluator=Suite(), rule=Contamination(), store=Store(tmp_path)  # type: ignore[arg-type]
    )  # fmt: skip
    kept = decontaminated(POOL, read_hits(made))
    assert kept.ids == ("r0", "r2")
    assert kept.fingerprint != POOL.fingerprint
    assert kept.skipped == {"is in the evaluation": 1}


def test_without_an_evaluation_the_pool_is_compared_with_the_targets(tmp_path: Path) -> None:
    made = find_contamination(POOL, [TARGET], evaluator=None, rule=Contamination(), store=Store(tmp_path))
    assert [hit.other for hit in read_hits(made)] == [Side("target", "math")]
    assert decontaminated(POOL, read_hits(made)) is POOL
