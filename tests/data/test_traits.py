"""Laws of trait extraction: planted traits are found, independent of the order of the rows."""

from __future__ import annotations

import random

import pytest

from nait.core.dataset.examples import Example, Pool, Turn, gather
from nait.core.dataset.traits import (
    CHARACTERS,
    CODE,
    LANGUAGE,
    REPEATED_ANSWER,
    REPEATED_QUESTION,
    TOPIC,
    Traits,
)
from nait.core.errors import ConfigError
from nait.data.text_traits import topics
from nait.data.text_traits.text_traits import UNKNOWN, TraitReader, has_code, language
from nait.data.text_traits.topics import NO_WORDS, ONE_TOPIC, find_topics, words

KITCHEN = ("flour", "butter", "oven", "sugar", "bake", "dough")
SKY = ("planet", "orbit", "star", "comet", "telescope", "galaxy")
READER = TraitReader(topics=2)


def pool(*rows: tuple[str, str], order: list[int] | None = None) -> Pool:
    examples = [Example(f"r{i:03d}", (Turn(asked, answer),), row=i) for i, (asked, answer) in enumerate(rows)]
    return gather("pool", [examples[i] for i in order] if order else examples)


def themed(count: int = 40) -> list[tuple[str, str]]:
    """Rows that alternate between two themes with distinct words."""
    draw = random.Random(0)
    themes = [KITCHEN if i % 2 else SKY for i in range(count)]
    return [(f"Tell me {i}", " ".join(draw.choices(theme, k=8))) for i, theme in enumerate(themes)]


def by_id(traits: Traits) -> dict[str, list[object]]:
    columns = [*traits.labels.values(), *traits.marks.values(), *traits.sizes.values()]
    return {key: [values[i] for values in columns] for i, key in enumerate(traits.ids)}


def test_planted_topics_are_found_and_named_by_their_words() -> None:
    found = READER.read(pool(*themed())).labels[TOPIC]
    assert len(set(found[::2])) == len(set(found[1::2])) == 1
    assert set(found[0].split(", ")) <= set(SKY)
    assert set(found[1].split(", ")) <= set(KITCHEN)


def test_traits_do_not_depend_on_the_order_of_the_rows() -> None:
    rows = [*themed(), ("print it", "print(1)"), ("again", "same"), ("again", "same")]
    order = list(range(len(rows)))
    random.Random(1).shuffle(order)
    assert by_id(READER.read(pool(*rows))) == by_id(READER.read(pool(*rows, order=order)))


def test_topics_do_not_depend_on_the_order_of_the_ids() -> None:
    ids, texts = [f"r{i:03d}" for i in range(40)], [" ".join(row) for row in themed()]
    forth = dict(zip(ids, find_topics(ids, texts, 4), strict=True))
    back = dict(zip(ids[::-1], find_topics(ids[::-1], texts[::-1], 4), strict=True))
    assert forth == back


def test_rows_beyond_the_sample_and_the_chunk_get_their_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "SAMPLE", 24)
    monkeypatch.setattr(topics, "CHUNK", 7)
    found = READER.read(pool(*themed())).labels[TOPIC]
    assert len(set(found[::2])) == len(set(found[1::2])) == 1
    assert found[0] != found[1]


def test_few_rows_equal_rows_and_wordless_rows_have_one_topic() -> None:
    assert set(READER.read(pool(("Hi", "you"))).labels[TOPIC]) == {ONE_TOPIC}
    assert len(set(READER.read(pool(*[("Bake bread", "with flour")] * 30)).labels[TOPIC])) == 1
    assert set(READER.read(pool(*[("?", "!")] * 30)).labels[TOPIC]) == {ONE_TOPIC}
    assert READER.read(pool(*themed(), ("?", "!"))).labels[TOPIC][-1] == NO_WORDS


def test_numbers_are_one_word_and_chinese_characters_are_one_word_each() -> None:
    assert words("The 12 bakers and 7,000 cakes") == ["0-9", "bakers", "0-9", "0-9", "cakes"]
    assert words("天气 fine") == ["天", "气", "fine"]


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "What is the capital of France? The capital of France is Paris, on the river Seine."),
        ("de", "Wie heißt die Hauptstadt von Frankreich? Die Hauptstadt von Frankreich ist Paris."),
        ("es", "¿Cuál es la capital de Francia? La capital de Francia es París, junto al río Sena."),
        (
            "zh",
            "法国的首都是哪里？法国的首都是巴黎，位于塞纳河畔，是法国最大的城市，也是世界著名的旅游城市。",
        ),
        (UNKNOWN, "12 + 30 = 42"),
        (UNKNOWN, "Yes."),
        (UNKNOWN, ""),
    ],
)
def test_planted_languages_are_found_and_a_single_word_has_none(code: str, text: str) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    "text",
    [
        "Here:\n```\nls\n```", "def add(a, b):\n    return a + b", "#include <stdio.h>", "<p>Hello</p>",
        "SELECT name FROM people WHERE age > 3", "function f(x) { return x; }", "console.log('hi')",
        "public static void main(String[] args)", "from os import path", "#!/bin/sh\nls", "if (a > b) {",
        "Use print('a') for it.", "for key, value in found.items():\n    pass",
    ],
)  # fmt: skip
def test_planted_code_is_found(text: str) -> None:
    assert has_code(text)


@pytest.mark.parametrize(
    "text",
    [
        "Please select a dish from the menu.", "For example:", "The class of 1999 was large.",
        "Import taxes rose. The function of the heart is to pump blood (mostly).", "if x < 3 and y > 4", "",
        "I was looking for a house in the country: small and quiet.", "Let x be 3. Print the page.",
    ],
)  # fmt: skip
def test_prose_is_not_code(text: str) -> None:
    assert not has_code(text)


def test_planted_repetitions_are_found_ignoring_case_blanks_and_width() -> None:
    rows = [
        ("Say  Hello", "yes"),
        ("say hello ", "no"),
        ("ｓａｙ hello", "maybe"),
        ("Go", "NO\n"),
        ("", ""),
        (" ", ""),
    ]
    found = READER.read(pool(*rows)).marks
    assert found[REPEATED_QUESTION].tolist() == [True, True, True, False, False, False]
    assert found[REPEATED_ANSWER].tolist() == [False, True, False, True, False, False]


def test_an_input_makes_another_question() -> None:
    turns = [Turn("Sum up", "x", input="one"), Turn("Sum up", "y", input="two")]
    rows = gather("pool", [Example(f"r{i}", (turn,), row=i) for i, turn in enumerate(turns)])
    assert not READER.read(rows).marks[REPEATED_QUESTION].any()


def test_characters_and_code_are_of_all_turns() -> None:
    example = Example("r", (Turn("ab", "c", input="d"), Turn("efg", "```x```")), system="not counted")
    found = READER.read(gather("pool", [example]))
    assert found.sizes[CHARACTERS].tolist() == [14.0]
    assert found.marks[CODE].tolist() == [True]


def test_languages_are_left_out_on_request_and_the_key_says_so() -> None:
    silent = TraitReader(topics=2, languages=False)
    assert LANGUAGE not in silent.read(pool(*themed(4))).labels
    assert len({str(one.key()) for one in (silent, READER, TraitReader())}) == 3


def test_fewer_than_two_topics_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"traits\.topics: 1 is below 2"):
        TraitReader(topics=1)
