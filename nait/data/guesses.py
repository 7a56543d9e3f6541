"""Guesses: what is said of a row that no layout fits, and the mapping that may read it. Pure.

A guess is made from names and forms alone. A row for which it finds no question and no answer gets none: a mapping
that reads the wrong columns is worse than a message that names the columns there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from nait.data import words
from nait.data.marks import KNOWN, awaits, named, way_of
from nait.data.messages import ASKED, SHAREGPT, is_messages, looks_like
from nait.data.rows import SHOWN_NAMES, Row, is_empty, text_paths, value_at

_DEPTH = 8
_PIECES = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_PLAIN = re.compile(r"[\w .-]*\w")
_SEPARATOR = re.compile(r"\w+([^\w\s.-])\w+(?:\1\w+)*")
_ORDINAL = re.compile(r"(?:^|_)([0-9]|[a-d])$")


def hint(row: Row) -> str:
    """What a row is that is not an example."""
    if _is_message(row):
        return "Each row is one message: write one conversation a row, {messages: [...]}. "
    if _is_tree(row):
        return "Each row is a tree of messages: write one path of it a row, {messages: [...]}. "
    if _numbered_turns(row):
        return "The turns are an object: write them as a list, {messages: [...]}. "
    if any(isinstance(one, str) and one.lstrip()[:3] in ("[{'", "{'") for one in row.values()):
        return "A list is written as Python writes it: write it by json.dumps. "
    mark = _SEPARATOR.fullmatch(next(iter(row))) if len(row) == 1 else None
    if mark:
        return f"If '{mark[1]}' separates columns, set data.separator='{mark[1]}'. "
    if len(row) == 1 and isinstance(next(iter(row.values())), str) and guess(row) is None:
        return (
            "One text a row is neither a question nor an answer, and its speakers have no marks that are read "
            f"({KNOWN}): write these, or {{instruction, output}}. "
        )
    if "text" in (guess(row) or {}):
        return _transcript(row)
    return "It offers tools, which are not supported. " if _tools(row) else ""


def _transcript(row: Row) -> str:
    """That a column is a transcript, by its marks as they are written."""
    path = (guess(row) or {})["text"]
    return f"'{path}' is a transcript with the marks {named(str(value_at(row, path)))}. "


def no_columns(row: Row) -> bool:
    """Whether no mapping of columns can read such a row: it must be written anew."""
    return _is_message(row) or _is_tree(row) or _numbered_turns(row)


def caution(row: Row, mapping: Mapping[str, str]) -> str:
    """What the mapping leaves out or takes as it is written: other answers, other items, JSON text."""
    said, firsts = [], []
    for path in mapping.values():
        column = path.split(".")[0]
        others = [name for name in row if name != column and _stem(name) and _stem(name) == _stem(column)]
        if others:
            said.append(f"The columns named below leave out '{others[0]}'. ")
        if _takes_first_of_several(row, path):
            firsts.append(f"'{path}'")
        if _is_json_list(value_at(row, path)):
            said.append(f"'{path}' holds a list as JSON text, which is taken as it is written. ")
    if firsts:
        said.append(f"Only the first item of each list is read by {' and '.join(firsts)}. ")
    return "".join(dict.fromkeys(said))


def written(mapping: Mapping[str, str]) -> str:
    """The mapping as it is typed; a name with special characters is in quotes."""
    return "{" + ", ".join(f"{name}: {_quoted(column)}" for name, column in mapping.items()) + "}"


def guess(row: Row) -> dict[str, str] | None:
    """The mapping that may read a row that no layout fits: a preference pair's better half, or parts of columns."""
    if no_columns(row):
        return None
    held = {
        name: value
        for name, value in list(row.items())[:SHOWN_NAMES]
        if not any(word in name for word in words.REJECTED)
    }
    if isinstance(held.get("prompt"), list) and isinstance(held.get("chosen"), list):
        return {"prompt": "prompt", "completion": "chosen"}
    return _guessed_conversation(held) or _guessed_pair(held)


def _guessed_conversation(held: Row) -> dict[str, str] | None:
    """A column or a part of one that holds a conversation; of a question and an answer apart, both."""
    parts = [
        (f"{name}.{key}", part)
        for name, one in held.items()
        if isinstance(one, dict)
        for key, part in one.items()
    ]
    found = sorted([*held.items(), *parts], key=lambda one: not any(word in one[0] for word in words.CHOSEN))
    talks = [(path, value) for path, value in found if is_messages(value)]
    asked = next((path for path, value in talks if _speaks_last(value, asked=True)), None)
    answer = next((path for path, value in talks if _speaks_last(value, asked=False)), None)
    if asked and answer and not _begins_with_user(dict(talks)[answer]):
        return {"prompt": asked, "completion": answer}
    for path, value in found:
        if is_messages(value):
            return {"conversations" if looks_like(value, SHAREGPT) else "messages": path}
        if isinstance(value, str) and way_of(value) is not None and not awaits(value):
            return {"text": path}
    return None


def _guessed_pair(held: Row) -> dict[str, str] | None:
    """Paths of texts whose names say question and answer; of exactly two texts the first and the second."""
    texts = [path for path in _paths(held) if not _is_aside(path)]
    asked = _named(texts, words.ASKING)
    answer = _named([path for path in texts if path != asked], words.ANSWERING)
    if len(texts) == 2 and not (asked and answer):
        asked = asked or next(path for path in texts if path != answer)
        answer = answer or next(path for path in texts if path != asked)
    return {"prompt": asked, "completion": answer} if asked and answer else None


def _paths(held: Row) -> Iterator[str]:
    return (name + path for name, value in held.items() for path in text_paths(value, depth=_DEPTH))


def _named(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """The first path through a name that is one of these, in the words' order; else one that has it as a piece."""
    for cut in (_names, _pieces):
        for word in known:
            found = next((path for path in paths if word in cut(path)), None)
            if found:
                return found
    return None


def _names(path: str) -> list[str]:
    return path.casefold().split(".")


def _pieces(path: str) -> list[str]:
    """The words a path is made of, in the singular: "answers.input_text.0" has "answer", "input", "text", "0"."""
    return [piece.casefold().removesuffix("s") for piece in _PIECES.findall(path)]


def _is_aside(path: str) -> bool:
    """Whether the last name of a path is that of a label or a date, and not of what somebody says."""
    last = next((name for name in reversed(path.split(".")) if not name.isdigit()), path)
    pieces = _pieces(last)
    return bool(pieces) and (pieces[-1] in words.ASIDES or " ".join(pieces) in words.ASIDES)


def _stem(name: str) -> str:
    return _ORDINAL.sub("", name) if _ORDINAL.search(name) else ""


def _takes_first_of_several(row: Row, path: str) -> bool:
    steps = path.split(".")
    lists = (value_at(row, ".".join(steps[:i])) for i, step in enumerate(steps) if i and step == "0")
    return any(isinstance(one, list) and len(one) > 1 for one in lists)


def _is_json_list(value: object) -> bool:
    if not isinstance(value, str) or value[:2] != '["':
        return False
    try:
        return isinstance(json.loads(value), list)
    except (ValueError, RecursionError):
        return False


def _quoted(column: str) -> str:
    if _PLAIN.fullmatch(column) and column == column.strip():
        return column
    return '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _speaks_last(value: object, *, asked: bool) -> bool:
    last = value[-1] if isinstance(value, list) and value else None
    role = next((last[key] for key in ("role", "from") if key in last), "") if isinstance(last, dict) else ""
    return (str(role).strip().casefold() in ASKED) is asked


def _begins_with_user(value: object) -> bool:
    return isinstance(value, list) and _speaks_last(value[:1], asked=True)


def _is_message(row: Row) -> bool:
    return "role" in row and ("text" in row or "content" in row)


def _is_tree(row: Row) -> bool:
    """Whether a row is a tree of messages: replies in replies (OASST), or nodes with parents (a ChatGPT export)."""
    for value in (row, *list(row.values())[:SHOWN_NAMES]):
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("replies"), list):
            return True
        nodes = list(value.values())[:SHOWN_NAMES]
        if nodes and all(isinstance(node, dict) and "children" in node for node in nodes):
            return True
    return False


def _numbered_turns(row: Row) -> bool:
    """Whether a column is an object of turns, {turn_1: {...}, turn_2: {...}}."""
    return any(
        isinstance(value, dict)
        and bool(value)
        and all(key[-1:].isdigit() and isinstance(one, dict) for key, one in value.items())
        for value in list(row.values())[:SHOWN_NAMES]
    )


def _tools(row: Row) -> bool:
    return any(not is_empty(row.get(name)) for name in words.TOOLS)
