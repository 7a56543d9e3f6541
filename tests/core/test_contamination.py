"""Laws of contamination: what is the same text is found, what is not is left alone."""

from __future__ import annotations

import random

import pytest

from nait.core.dataset.contamination import (
    Contamination,
    EvaluationText,
    Hit,
    Side,
    as_evaluation_texts,
    side_of,
)
from nait.core.dataset.examples import Example, Pool, Target, Turn, as_target, gather
from nait.core.errors import DataError

LONG = "the quick brown fox jumps over the lazy dog while seventeen grey geese fly slowly south over water"
CHECK = Contamination()


def rows(*asked: str, name: str = "pool") -> Pool:
    return gather(name, [Example(f"p{i}", (Turn(text, f"done {i}"),), row=i) for i, text in enumerate(asked)])


TASK = Side("task", "gsm8k")


def items(*texts: str) -> dict[Side, list[EvaluationText]]:
    return {TASK: [EvaluationText(str(i), (text,)) for i, text in enumerate(texts)]}


def test_case_and_punctuation_do_not_hide_an_equal_text() -> None:
    hits = CHECK.compare(rows("How many GEESE, then, fly south?"), items("how many geese then fly south"))
    assert hits == [Hit(Side("pool", "pool"), "p0", TASK, "0", "equal")]


def test_thirteen_words_in_common_are_a_hit_and_twelve_are_not() -> None:
    words = LONG.split()
    for count, found in ((13, 1), (12, 0)):
        text = f"Say this: {' '.join(words[2 : 2 + count])} and nothing more of it"
        assert len(CHECK.compare(rows(text), items(LONG))) == found
    assert len(Contamination(ngram=12).compare(rows(f"So {' '.join(words[2:14])} it was"), items(LONG))) == 1


def test_an_equal_short_text_is_not_a_hit() -> None:
    assert not CHECK.compare(rows("Sort the words."), items("Sort the words."))


def test_the_order_of_words_counts() -> None:
    shuffled = LONG.split()
    random.Random(0).shuffle(shuffled)
    assert not CHECK.compare(rows(" ".join(shuffled)), items(LONG))


def test_grams_agree_with_sets_of_words() -> None:
    draw = random.Random(1)
    texts = [" ".join(draw.choices("abcde", k=30)) for _ in range(40)]
    check = Contamination(ngram=4)

    def grams(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + 4]) for i in range(len(words) - 3)}

    for pool_text in texts[:20]:
        wanted = any(grams(pool_text) & grams(text) for text in texts[35:])
        assert bool(check.compare(rows(pool_text), items(*texts[35:]))) == wanted


def target(*asked: str) -> Target:
    return as_target(rows(*asked, name="math"))


def test_a_reference_set_of_test_items_is_refused_by_name() -> None:
    test_set = {TASK: [EvaluationText("7", (LONG,))]}
    one = target(LONG, "what is two and two and three")
    hits = CHECK.compare(one, test_set)
    with pytest.raises(DataError, match=r"target 'math'.*1 of its 2 rows.*item 7 of task gsm8k"):
        CHECK.refuse_test_references(hits, [one])
    Contamination(allow_test_references=True).refuse_test_references(hits, [one])


def test_reference_rows_in_the_pool_are_found() -> None:
    one = target(LONG)
    hits = CHECK.compare(rows("hello", LONG), {side_of(one): as_evaluation_texts(one)})
    assert [(hit.id, hit.other, hit.other_id) for hit in hits] == [("p1", Side("target", "math"), "p0")]


def test_text_in_every_prompt_of_a_task_is_not_a_hit() -> None:
    prompts = items(*(f"{LONG} then comes number {i} and {i * i}" for i in range(30)))
    assert not CHECK.compare(rows(f"{LONG} but here the rest is quite another one"), prompts)


def test_a_target_named_like_a_task_finds_its_hits_and_is_refused() -> None:
    named = as_target(rows(LONG, name="gsm8k"))
    assert [
        hit.other
        for hit in CHECK.compare(rows(LONG), {side_of(named): as_evaluation_texts(named), **items(LONG)})
    ] == [
        Side("target", "gsm8k"),
        TASK,
    ]
    with pytest.raises(DataError, match="1 of its 1 rows"):
        CHECK.refuse_test_references(CHECK.compare(named, items(LONG)), [named])


def test_a_pool_and_a_target_of_one_name_keep_their_own_hits() -> None:
    pool, clean = rows(LONG, name="same"), as_target(rows("what is two and two and three", name="same"))
    hits = CHECK.compare(pool, items(LONG)) + CHECK.compare(clean, items(LONG))
    assert [hit.rows for hit in hits] == [Side("pool", "same")]
    CHECK.refuse_test_references(hits, [clean])


SHORT = "how many geese fly over the old lake"


def test_a_short_item_inside_a_longer_row_is_found() -> None:
    """Eight words, fewer than an n-gram: a question in a prompt, or beside its choices."""
    asked = f"Question: {SHORT.upper()}? Choices: (A) ten (B) twelve. Answer:"
    assert [hit.kind for hit in CHECK.compare(rows(asked), items(SHORT))] == ["contained"]
    assert not CHECK.compare(rows(asked), items("how many geese fly over the lake"))


def test_a_reference_row_that_wraps_a_test_item_is_refused() -> None:
    for item in (SHORT, LONG):
        one = target(f"Question: {item}\nAnswer:", "what is two and two and three")
        with pytest.raises(DataError, match="1 of its 2 rows"):
            CHECK.refuse_test_references(CHECK.compare(one, items(item)), [one])


def test_a_reference_row_that_shares_a_phrase_alone_is_not_refused() -> None:
    one = target(f"Say this: {' '.join(LONG.split()[:14])} and nothing more of it")
    hits = CHECK.compare(one, items(LONG))
    assert [hit.kind for hit in hits] == ["ngram"]
    CHECK.refuse_test_references(hits, [one])


def test_a_later_turn_and_the_system_prompt_are_looked_at() -> None:
    turns = (Turn("Hello.", "Hello, what can I do?"), Turn("Thanks.", "Yes."))
    later = gather("pool", [Example("a", (turns[0], Turn(LONG, "Ten.")))])
    system = gather("pool", [Example("b", turns, system=f"You know this: {LONG}")])
    answer = gather("pool", [Example("c", (*turns, Turn("Say it.", f"It is: {LONG}")))])
    for pool in (later, system, answer):
        assert len(CHECK.compare(pool, items(LONG))) == 1


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Caf\u00e9 cr\u00e8me costs how many euros", "Cafe\u0301 cre\u0300me costs how many euros"),
        ("The o\ufb03ce opens at nine sharp", "the office opens at nine sharp"),
        ("\uff28\uff4f\uff57 many geese fly south today", "How many geese fly south today"),
        ("How ma\u00adny ge\u200bese fly south today", "How many geese fly south today"),
        ("how many __geese__ fly _south_ today", "How many geese fly south today"),
        ("In der Stra\u00dfe stehen vier B\u00e4ume", "IN DER STRASSE STEHEN VIER B\u00c4UME"),
        (
            "\u4e2d\u56fd\u7684\u9996\u90fd\u662f\u54ea\u91cc",
            "\u4e2d\u56fd\u7684\u9996\u90fd\u662f\u54ea\u91cc\uff1f",
        ),
    ],
)
def test_how_a_letter_is_encoded_does_not_hide_a_text(written: str, asked: str) -> None:
    assert [hit.kind for hit in CHECK.compare(rows(written), items(asked))] == ["equal"]


def test_a_text_without_spaces_is_found_inside_another() -> None:
    asked = "\u5728\u4e00\u4e2a\u519c\u573a\u91cc\u6709\u5341\u4e8c\u53ea\u9e45"
    row = f"\u8bf7\u95ee{asked}\uff0c\u8fd8\u6709\u4e09\u53ea\u9e2d"
    assert [hit.kind for hit in CHECK.compare(rows(row), items(asked))] == ["contained"]


def test_a_passage_of_twelve_questions_in_a_large_task_does_not_count_as_the_tasks_wording() -> None:
    others = [
        EvaluationText(f"o{i}", (f"number {i} of {i + 1} other quite short questions",)) for i in range(1200)
    ]
    asked = [EvaluationText(str(i), (LONG, f"{LONG} question {i} of it")) for i in range(12)]
    hits = CHECK.compare(rows(f"Read: {LONG} And now?"), {TASK: [*others, *asked]})
    assert [hit.kind for hit in hits] == ["contained"]


def test_an_item_is_found_behind_another_one_with_its_words() -> None:
    """An item whose words a longer item has too, in whatever order the task has the two."""
    longer = f"{LONG} and then they all came back home in the spring of the next year"
    for texts in ((LONG, longer), (longer, LONG)):
        one = target(f"Please say: {LONG}. Now!", "what is two and two and three")
        hits = CHECK.compare(one, items(*texts))
        assert [(hit.other_id, hit.kind) for hit in hits] == [(str(texts.index(LONG)), "contained")]
        with pytest.raises(DataError, match="1 of its 2 rows"):
            CHECK.refuse_test_references(hits, [one])


@pytest.mark.parametrize("asked", [LONG, f"Please say: {LONG}. Now!"])
def test_a_text_of_two_items_is_found_in_the_evaluated_one_too(asked: str) -> None:
    both = {TASK: [EvaluationText("0", (LONG,), evaluated=False), EvaluationText("1", (LONG,))]}
    hits = CHECK.compare(rows(asked), both)
    assert [(hit.other_id, hit.evaluated) for hit in hits] == [("1", True), ("0", False)]
