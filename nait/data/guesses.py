"""Guesses: what is said of a row that no layout fits, and the mapping that may read it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from nait.data import words
from nait.data.messages import SHAREGPT, is_messages, looks_like
from nait.data.rows import SHOWN_NAMES, Row, text_paths
from nait.data.transcripts import way_of


def hint(row: Row) -> str:
    """What a row is that is no example."""
    if _is_message(row):
        return "Each row is one message: write one conversation a row, {messages: [...]}. "
    if len(row) == 1 and isinstance(next(iter(row.values())), str) and guess(row) is None:
        return "One text a row is neither a question nor an answer: write it as {instruction, output}. "
    return ""


def _is_message(row: Row) -> bool:
    return "role" in row and ("text" in row or "content" in row)


def guess(row: Row) -> dict[str, str] | None:
    """The mapping that may read a row that no layout fits: a preference pair's better half, or parts of columns."""
    if _is_message(row):
        return None
    held = {name: value for name, value in list(row.items())[:SHOWN_NAMES] if "rejected" not in name}
    if isinstance(held.get("prompt"), list) and isinstance(held.get("chosen"), list):
        return {"prompt": "prompt", "completion": "chosen"}
    parts = [
        (f"{name}.{key}", part)
        for name, one in held.items()
        if isinstance(one, dict)
        for key, part in one.items()
    ]
    for path, value in sorted([*held.items(), *parts], key=lambda one: "chosen" not in one[0]):
        if is_messages(value):
            return {"conversations" if looks_like(value, SHAREGPT) else "messages": path}
        if way_of(value) is not None:
            return {"text": path}
    texts = [name + path for name, value in held.items() for path in text_paths(value)]
    asked = _first_word(texts, words.ASKING) or next(iter(texts), None)
    answer = _first_word([path for path in texts if path != asked], words.ANSWERING)
    if asked and not answer:
        answer = next((path for path in texts[texts.index(asked) + 1 :]), None)
    return {"prompt": asked, "completion": answer} if asked and answer else None


def _first_word(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """The first path that leads through a column or key of one of these names, in the names' order."""
    return next((path for word in known for path in paths if word in path.casefold().split(".")), None)
