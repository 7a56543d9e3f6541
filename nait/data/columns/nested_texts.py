"""Paths of texts inside nested values, and the path most likely to be message content. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nait.data.field_names import METADATA_WORDS, SPEAKERS

MAX_NAMES = 20
_HISTORY_WORDS = frozenset({"history", "dialog", "dialogue", "conversation", "context", "utterance", "chat"})
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
TEXT_NAMES = ("content", "text", "value", "answer", "output", "response")
"""Keys that usually hold the text of an object, most likely first."""


def text_paths(value: object, *, depth: int = 3) -> Iterator[str]:
    """Paths of the texts in a value, each step preceded by a dot; lists contribute their first item only."""
    if isinstance(value, str):
        yield ""
    elif depth and isinstance(value, (dict, list)):
        inner = list(value.items())[:MAX_NAMES] if isinstance(value, dict) else list(enumerate(value[:1]))
        for step, held in inner:
            yield from (f".{step}{path}" for path in text_paths(held, depth=depth - 1))


def best_text_path(value: object) -> str | None:
    """Path of a conversation inside the value, else of the text whose key suggests content; None without text."""
    conversation = _conversation(value, 3)
    if conversation is not None:
        return conversation
    paths = [path for path in text_paths(value) if not is_metadata(path)]
    named = [path for name in TEXT_NAMES for path in paths if path.split(".")[-1].casefold() == name]
    return next(iter([*named, *paths]), None)


def _conversation(value: object, depth: int) -> str | None:
    if isinstance(value, list) and value and isinstance(value[0], dict) and {*SPEAKERS} & {*value[0]}:
        return ""
    for name, held in list(value.items())[:MAX_NAMES] if isinstance(value, dict) and depth else ():
        path = _conversation(held, depth - 1)
        if path is not None:
            return f".{name}{path}"
    return None


def name_words(path: str) -> list[str]:
    """Words of a path, in the singular: "answers.input_text.0" gives "answer", "input", "text", "0"."""
    return [piece.casefold().removesuffix("s") for piece in _WORDS.findall(path)]


def is_metadata(path: str) -> bool:
    """Whether the last name of a path is metadata (an id, a label, a date) rather than content."""
    last = next((name for name in reversed(path.split(".")) if not name.isdigit()), path)
    found = name_words(last)
    if len(found) > 1 and found[-1] == "list":
        found = found[:-1]
    return bool(found) and (found[-1] in METADATA_WORDS or " ".join(found) in METADATA_WORDS)


def is_history(column: str, value: object) -> bool:
    """Whether a value is a list of texts before an answer, judged by its column's name (PersonaChat's `history`)."""
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        return False
    words = name_words(column.split(".")[-1])
    return bool(_HISTORY_WORDS & {*words})


def joined_path(value: object) -> str | None:
    """Path of a list of texts in a value, with `*` for the texts of objects in a list; None without a text."""
    path = best_text_path(value)
    if path is None:
        return None
    while path.endswith(".0"):
        path = path.removesuffix(".0")
    return path.replace(".0.", ".*.")


def joined_texts(value: object) -> str | None:
    """Texts of a list, joined by blank lines, and of lists in an item, joined by spaces; None for anything else."""
    if not isinstance(value, list):
        return None
    texts = [one if isinstance(one, str) else _sentence(one) for one in value]
    return None if None in texts else "\n\n".join(text for text in texts if text and text.strip())


def _sentence(value: object, depth: int = 3) -> str | None:
    """Texts of nested lists, joined by spaces: [title, [sentence, sentence]]."""
    if isinstance(value, str):
        return value.strip()
    if not isinstance(value, list) or not depth:
        return None
    texts = [_sentence(one, depth - 1) for one in value]
    return None if None in texts else " ".join(text for text in texts if text)
