"""Laws of the contamination stage: hits are found once, kept, and left out of the pool when asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nait.core.contamination import Contamination, Item, Side
from nait.core.examples import Example, Turn, as_target, gather
from nait.stages.contaminate import contaminate, decontaminated, describe, read_hits
from nait.store import Store

ASKED = "how many grey geese fly south over the water today"
REFERENCE = "what is the sum of two and forty and three"


class Suite:
    """An evaluator of one task that counts how often its items are read."""

    def __init__(self) -> None:
        self.read = 0

    def key(self) -> Mapping[str, Any]:
        return {"tasks": ["geese"]}

    def items(self) -> Mapping[str, Sequence[Item]]:
        self.read += 1
        return {"geese": [Item("41", (ASKED,))]}


def rows(*texts: str, name: str = "pool") -> Any:
    return gather(name, [Example(f"r{i}", (Turn(text, f"yes {i}"),), row=i) for i, text in enumerate(texts)])


POOL = rows("Say hello.", ASKED.upper(), REFERENCE)
TARGET = as_target(rows(REFERENCE, "something else entirely different here", name="math"))


def test_hits_are_found_once_and_named(tmp_path: Path) -> None:
    suite, rule = Suite(), Contamination()
    for _ in range(2):
        made = contaminate(POOL, [TARGET], evaluator=suite, rule=rule, store=Store(tmp_path))  # type: ignore[arg-type]
    assert suite.read == 1
    hits = read_hits(made)
    assert {(hit.id, hit.other.name, hit.other_id) for hit in hits} == {
        ("r1", "geese", "41"),
        ("r2", "math", "r0"),
    }
    said = " ".join(describe(hits))
    assert "1 row(s) of pool pool share text with task geese, such as row r1 with 41" in said


def test_only_rows_of_the_evaluation_are_left_out(tmp_path: Path) -> None:
    made = contaminate(
        POOL, [TARGET], evaluator=Suite(), rule=Contamination(), store=Store(tmp_path)  # type: ignore[arg-type]
    )  # fmt: skip
    kept = decontaminated(POOL, read_hits(made))
    assert kept.ids == ("r0", "r2")
    assert kept.fingerprint != POOL.fingerprint
    assert kept.skipped == {"is in the evaluation": 1}


def test_without_an_evaluation_the_pool_is_held_against_the_targets(tmp_path: Path) -> None:
    made = contaminate(POOL, [TARGET], evaluator=None, rule=Contamination(), store=Store(tmp_path))
    assert [hit.other for hit in read_hits(made)] == [Side("target", "math")]
    assert decontaminated(POOL, read_hits(made)) is POOL
