"""Laws of contamination: what is the same text is found, what is not is left alone."""

from __future__ import annotations

import random

import pytest

from nait.core.contamination import Contamination, Hit, Item, as_items
from nait.core.errors import DataError
from nait.core.examples import Example, Pool, Target, Turn, as_target, gather

LONG = "the quick brown fox jumps over the lazy dog while seventeen grey geese fly slowly south over water"
CHECK = Contamination()


def rows(*asked: str, name: str = "pool") -> Pool:
    return gather(name, [Example(f"p{i}", (Turn(text, f"done {i}"),), row=i) for i, text in enumerate(asked)])


def items(*texts: str) -> dict[str, list[Item]]:
    return {"task": [Item(str(i), (text,)) for i, text in enumerate(texts)]}


def test_case_and_punctuation_do_not_hide_an_equal_text() -> None:
    hits = CHECK.compare(rows("How many GEESE, then, fly south?"), items("how many geese then fly south"))
    assert hits == [Hit("pool", "p0", "task", "0", "equal")]


def test_thirteen_words_in_common_are_a_hit_and_twelve_are_not() -> None:
    words = LONG.split()
    for count, found in ((13, 1), (12, 0)):
        text = f"Say this: {' '.join(words[2 : 2 + count])} and nothing more of it"
        assert len(CHECK.compare(rows(text), items(LONG))) == found
    assert len(Contamination(ngram=12).compare(rows(f"So {' '.join(words[2:14])} it was"), items(LONG))) == 1


def test_a_short_text_that_is_equal_is_no_hit() -> None:
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
    test_set = {"gsm8k": [Item("7", (LONG,))]}
    one = target(LONG, "what is two and two and three")
    hits = CHECK.compare(one, test_set)
    with pytest.raises(DataError, match=r"target 'math'.*1 of its 2 rows.*item 7 of gsm8k"):
        CHECK.refuse_test_references(hits, [one])
    Contamination(allow_test_references=True).refuse_test_references(hits, [one])


def test_reference_rows_in_the_pool_are_found() -> None:
    one = target(LONG)
    hits = CHECK.compare(rows("hello", LONG), {one.name: as_items(one)})
    assert [(hit.id, hit.other, hit.other_id) for hit in hits] == [("p1", "math", "p0")]


def test_what_a_task_says_in_every_prompt_is_no_hit() -> None:
    prompts = items(*(f"{LONG} then comes number {i} and {i * i}" for i in range(30)))
    assert not CHECK.compare(rows(f"{LONG} but here the rest is quite another one"), prompts)
