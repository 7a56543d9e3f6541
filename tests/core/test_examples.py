"""Laws of examples: what an id and a fingerprint hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nait.core.dataset.examples import Example, Target, Turn, content_id, fingerprint, gather
from nait.core.errors import DataError

TURNS = (Turn("Add.", "5", "2 3"), Turn("Again.", "5"))


def test_ids_and_fingerprints_of_plain_rows_keep_their_values() -> None:
    assert content_id("Be kind.", TURNS) == "213d0e097fca6a8b"
    assert fingerprint([Example("a", TURNS, "Be kind.", "sums")])[:16] == "435e5d2745703d5a"


@pytest.mark.parametrize("end", ["", "-2"])
def test_an_id_of_its_own_that_is_the_hash_of_a_row_without_one_is_refused(end: str) -> None:
    """Both rows had one id, and scores of one went to the other."""
    rows = [
        Example("", TURNS, row=0),
        Example("", TURNS, row=1),
        Example(content_id("", TURNS) + end, TURNS, row=2),
    ]
    with pytest.raises(DataError, match="the id of row 2 is the hash"):
        gather("p", rows)


def test_a_turn_that_is_context_makes_another_example() -> None:
    context = (replace(TURNS[0], trained=False), TURNS[1])
    assert content_id("", context) != content_id("", TURNS)
    assert fingerprint([Example("a", context)]) != fingerprint([Example("a", TURNS)])


def test_a_target_without_some_rows_counts_them_and_is_another_target() -> None:
    rows = tuple(Example(key, TURNS) for key in "abc")
    target = Target("sums", rows, fingerprint(rows), skipped={"why": 1})
    less = target.without({"b"}, "why")
    assert [one.id for one in less.examples] == ["a", "c"]
    assert less.skipped == {"why": 2}
    assert less.fingerprint == fingerprint(less.examples)
    assert target.without({"z"}, "why") is target
