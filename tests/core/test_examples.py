"""Laws of examples: what an id and a fingerprint hold."""

from __future__ import annotations

from dataclasses import replace

from nait.core.dataset.examples import Example, Target, Turn, content_id, fingerprint

TURNS = (Turn("Add.", "5", "2 3"), Turn("Again.", "5"))


def test_ids_and_fingerprints_of_plain_rows_keep_their_values() -> None:
    assert content_id("Be kind.", TURNS) == "213d0e097fca6a8b"
    assert fingerprint([Example("a", TURNS, "Be kind.", "sums")])[:16] == "435e5d2745703d5a"


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
