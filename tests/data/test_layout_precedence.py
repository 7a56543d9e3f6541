"""A few rows that lack a column do not change how all others are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nait.core.dataset.reading_warnings import describe_reading
from nait.core.errors import DataError
from nait.data.files.sources import memory_source
from nait.data.pools import read_pool, read_target

Rows = list[dict[str, Any]]


def alpaca(count: int) -> Rows:
    return [{"instruction": f"Do {i}", "input": f"in {i}", "output": f"out {i}"} for i in range(count)]


def asked(count: int) -> Rows:
    return [{"question": f"Why {i}?", "context": f"text {i}", "answer": f"so {i}"} for i in range(count)]


def prompted(count: int) -> Rows:
    return [{"prompt": f"Say {i}", "input": f"in {i}", "output": f"out {i}"} for i in range(count)]


def chats(count: int) -> Rows:
    turns = [("user", "hello"), ("assistant", "hi"), ("user", "and now?"), ("assistant", "bye")]
    messages = [{"role": role, "content": text} for role, text in turns]
    return [{"messages": messages, "prompt": f"hello {i}", "response": "hi"} for i in range(count)]


@pytest.mark.parametrize(
    ("rows", "lacking"),
    [(alpaca, "instruction"), (asked, "question"), (prompted, "prompt"), (chats, "messages")],
)
def test_one_row_without_its_column_is_invalid(rows: Callable[[int], Rows], lacking: str) -> None:
    made = rows(20)
    whole = read_pool(memory_source(made, "p"), duplicates="keep").reading
    del made[7][lacking]
    with pytest.raises(DataError, match=f"row 7.*field '{lacking}': is missing"):
        read_pool(memory_source(made, "p"))
    pool = read_pool(memory_source(made, "p"), on_bad="skip", duplicates="keep")
    assert (pool.reading["format"], pool.reading["columns"]) == (whole["format"], whole["columns"])
    assert pool.skipped == {f"'{lacking}' is missing": 1}


def test_an_input_is_the_question_only_of_rows_without_an_instruction() -> None:
    made = alpaca(10)
    for row in made[:4]:
        del row["instruction"]
    assert len(read_pool(memory_source(made, "p"), on_bad="skip")) == 6
    for row in made[4:9]:
        del row["instruction"]
    pool = read_pool(memory_source(made, "p"))
    assert (len(pool), pool.reading["columns"]["prompt"]) == (10, "input")
    assert describe_reading(pool) == [
        "Pool p: 'instruction' may hold questions and is not used (prompt in 'input', completion in 'output'). "
        "Assign it with data.columns if it does."
    ]


def test_many_rows_without_a_question_are_a_warning() -> None:
    made = [{"instruction": "" if i < 2 else f"Do {i}", "output": f"out {i}"} for i in range(20)]
    said = "rows have no question (instruction in 'instruction', output in 'output')."
    assert describe_reading(read_pool(memory_source(made, "p"))) == [f"Pool p: 2 {said}"]
    assert describe_reading(read_target(memory_source(made, "t"))[0]) == [f"Target t: 2 {said}"]
    assert describe_reading(read_pool(memory_source(made[1:], "p"))) == [f"Pool p: 1 {said}"]
    assert describe_reading(read_pool(memory_source([*made[1:], *alpaca(3)], "p"))) == []
