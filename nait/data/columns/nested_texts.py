"""Parts: the paths of texts inside a value, and which of them is what somebody says. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nait.data.columns import column_names as words

MOST_NAMES = 20
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_SAYING = ("content", "text", "value", "answer", "output", "response")
"""Names of the text in an object, the likeliest first."""


def text_paths(value: object, *, depth: int = 3) -> Iterator[str]:
    """The paths of the texts in a value, each step behind a dot; of a list that of its first item alone."""
    if isinstance(value, str):
        yield ""
    elif depth and isinstance(value, (dict, list)):
        inner = list(value.items())[:MOST_NAMES] if isinstance(value, dict) else list(enumerate(value[:1]))
        for step, held in inner:
            yield from (f".{step}{path}" for path in text_paths(held, depth=depth - 1))


def part_of(value: object) -> str | None:
    """The path of the part that says the most: a conversation, else a text whose name tells that it is one."""
    talk = _conversation(value, 3)
    if talk is not None:
        return talk
    paths = [path for path in text_paths(value) if not is_aside(path)]
    named = [path for name in _SAYING for path in paths if path.split(".")[-1].casefold() == name]
    return next(iter([*named, *paths]), None)


def _conversation(value: object, depth: int) -> str | None:
    if isinstance(value, list) and value and isinstance(value[0], dict) and {*words.SPEAKERS} & {*value[0]}:
        return ""
    for name, held in list(value.items())[:MOST_NAMES] if isinstance(value, dict) and depth else ():
        path = _conversation(held, depth - 1)
        if path is not None:
            return f".{name}{path}"
    return None


def pieces(path: str) -> list[str]:
    """The words a path is made of, in the singular: "answers.input_text.0" has "answer", "input", "text", "0"."""
    return [piece.casefold().removesuffix("s") for piece in _PIECES.findall(path)]


def is_aside(path: str) -> bool:
    """Whether the last name of a path is that of a label or a date, and not of what somebody says."""
    last = next((name for name in reversed(path.split(".")) if not name.isdigit()), path)
    found = pieces(last)
    return bool(found) and (found[-1] in words.ASIDES or " ".join(found) in words.ASIDES)
