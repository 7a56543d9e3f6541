"""Rows of a pool or a reference set as lines of text that fit a terminal."""

from __future__ import annotations

import textwrap

from nait.core.dataset.examples import Example

WIDTH = 100
"""Columns of a terminal that every line fits."""
LINE = WIDTH - 12
ID = 60
"""The most columns of an id."""


def question_of(example: Example) -> str:
    """The last question of a row, with its input."""
    turn = example.turns[-1]
    return f"{turn.instruction} {turn.input}".strip()


def row_name(number: int, own_id: str) -> str:
    """The number of a row, and its id if it has one of its own."""
    return f"{number} (id {short(own_id, ID)})" if own_id else str(number)


def row_lines(example: Example) -> list[str]:
    """Question and answer of a row, a line each."""
    answer = example.turns[-1].answer
    return [
        f"   {name} {short(text)}" for name, text in (("asked: ", question_of(example)), ("answer:", answer))
    ]


def row_line(example: Example, width: int = LINE) -> str:
    """Question and answer of a row in one line."""
    asked = short(question_of(example), width * 2 // 3)
    return f"{asked} -> {short(example.turns[-1].answer, width - len(asked) - 4)}"


def short(text: str, width: int = LINE) -> str:
    """The text on one line of at most `width` columns."""
    return textwrap.shorten(" ".join(text.split()), max(width, 8), placeholder=" ...")


def wrapped(text: str) -> str:
    """The text in lines of at most `WIDTH` columns."""
    return textwrap.fill(text, WIDTH, subsequent_indent="  ") if text else ""
