"""Guesses: what is said of a row that no layout fits, and the mapping that may read it. Pure.

A guess is made from names and forms alone. A row for which it finds no question and no answer gets none: a mapping
that reads the wrong columns is worse than a message that names the columns there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from nait.data.chat.marks import KNOWN, awaits, named, way_of
from nait.data.chat.messages import ASSISTANT, SHAREGPT, USER, is_messages, looks_like, speakers
from nait.data.columns import column_names as words
from nait.data.columns.nested_texts import is_aside, pieces, text_paths
from nait.data.row_errors import SHOWN_NAMES, Row, is_empty, kind, shown, value_at

_DEPTH = 8
_LONGEST_NAME = 4
_PLAIN = re.compile(r"[\w .-]*\w")
_SEPARATOR = re.compile(r"\w+([^\w\s.-])\w+(?:\1\w+)*")
_ORDINAL = re.compile(r"(?:(?:^|_)[a-z]|_?[0-9])$", re.IGNORECASE)
_TYPED = re.compile(r"[+-]?[0-9._]+|null|none|true|false|nan|inf", re.IGNORECASE)


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
    unknown = _unknown_turns(row) if guess(row) is None else ""
    if unknown:
        return unknown
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


def _unknown_turns(row: Row) -> str:
    """The form of a list of objects that are not messages in any known way."""
    for name, value in list(row.items())[:SHOWN_NAMES]:
        if isinstance(value, list) and value and isinstance(value[0], dict) and any(text_paths(value[0])):
            keys = ", ".join(map(shown, list(value[0])[:SHOWN_NAMES]))
            return f"{shown(name)} holds objects with {keys}: if they are messages, write each as {{role, content}}. "
    return ""


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
        if isinstance(value_at(row, path), (bool, int)):
            said.append(f"'{path}' is {kind(value_at(row, path))}, which is taken as it is written. ")
        if _is_json_list(value_at(row, path)):
            said.append(f"'{path}' holds a list as JSON text, which is taken as it is written. ")
    if firsts:
        said.append(f"Only the first item of each list is read by {' and '.join(firsts)}. ")
    rows = {path.rpartition(".0.")[0] for path in mapping.values()}
    if (
        len(mapping) == 2
        and len(rows) == 1
        and "." in "".join(rows)
        and all(".0." in path for path in mapping.values())
    ):
        said.append(f"If the file is one object and its rows are a list in it, set data.field={rows.pop()}. ")
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
    """A conversation in any part of the row; of a question and an answer apart, both."""
    found = list(_talks(held))
    found.sort(key=lambda one: not any(word in one[0] for word in words.CHOSEN))
    asked = next((path for path, who in found if who[-1] == USER), None)
    answer = next((path for path, who in found if who[0] == ASSISTANT), None)
    whole = next((path for path, who in found if who[0] != ASSISTANT and who[-1] == ASSISTANT), None)
    texts = [path for path in _texts(held) if not any(path.startswith(f"{talk}.") for talk, _ in found)]
    if whole is None:
        asked = asked or (
            _named([path for path in texts if not _inside_answer(path)], words.ASKING) if answer else None
        )
        answer = answer or (_named(texts, words.ANSWERING) if asked else None)
        if asked and answer:
            return {"prompt": asked, "completion": answer}
    for text in _texts(held):
        value = value_at(held, text)
        if isinstance(value, str) and way_of(value) is not None and not awaits(value):
            return {"text": text}
    talk = whole or asked
    if talk is None:
        return None
    return {"conversations" if looks_like(value_at(held, talk), SHAREGPT) else "messages": talk}


def _talks(value: object, path: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, list[str]]]:
    """The paths of the conversations in a value, and who speaks; of a list only its first item is looked at."""
    if path and is_messages(value):
        yield path, speakers(value)
    elif depth and isinstance(value, (dict, list)):
        inner = list(value.items())[:SHOWN_NAMES] if isinstance(value, dict) else list(enumerate(value[:1]))
        for name, one in inner:
            yield from _talks(one, f"{path}.{name}" if path else str(name), depth - 1)


def _guessed_pair(held: Row) -> dict[str, str] | None:
    """Paths of texts whose names say question and answer; of exactly two texts the first and the second.

    A number that is named as an answer (a class) answers one text that is alone.
    """
    texts = list(_texts(held))
    asked = _named([path for path in texts if not _inside_answer(path)], words.ASKING)
    answer = _named([path for path in texts if path != asked], words.ANSWERING)
    if asked and not answer:
        answer = next((path for path in texts if path in words.SAYING and path != asked), None)
    numbers = [name for name, one in held.items() if isinstance(one, (bool, int)) and name in words.ANSWERING]
    if len(texts) == 1 and len(numbers) == 1:
        return {"prompt": texts[0], "completion": numbers[0]}
    if len(texts) == 2 and not (asked and answer) and not numbers and all(map(_is_name, texts)):
        asked = asked or next(path for path in texts if path != answer)
        answer = answer or next(path for path in texts if path != asked)
    return {"prompt": asked, "completion": answer} if asked and answer else None


def _texts(held: Row) -> Iterator[str]:
    paths = (name + path for name, value in held.items() for path in text_paths(value, depth=_DEPTH))
    return (path for path in paths if not is_aside(path))


def _named(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """The first path through a name that is one of these, in the words' order; else one that has it as a piece."""
    for cut in (_names, _singular_names, pieces):
        for word in known:
            found = next((path for path in paths if word in cut(path)), None)
            if found:
                return found
    return None


def _singular_names(path: str) -> list[str]:
    return [name.removesuffix("s") for name in _names(path)]


def _inside_answer(path: str) -> bool:
    """Whether a path leads into an object that is named as an answer."""
    return any(name in words.ANSWERING for name in [*_names(path)[:-1], *_singular_names(path)[:-1]])


def _is_name(path: str) -> bool:
    """Whether it is like a column's name, and not like a cell: a question, a number, a sentence."""
    return "?" not in path and not path[:1].isdigit() and len(path.split()) <= _LONGEST_NAME


def _names(path: str) -> list[str]:
    return path.casefold().split(".")


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
    if _PLAIN.fullmatch(column) and column == column.strip() and not _TYPED.fullmatch(column):
        return column
    return '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'


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
