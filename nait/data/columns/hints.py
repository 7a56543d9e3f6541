"""Hints for rows that no layout fits, and guesses of a column mapping that may read them. Pure.

A guess uses names and value types only. Without both a question and an answer there is no guess: a mapping to the
wrong columns is worse than a list of the columns.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from nait.data.chat.marks import KNOWN, awaits_answer, first_markers, style_of
from nait.data.chat.messages import SHAREGPT, is_conversation, is_messages, speaker_roles
from nait.data.chat.roles import ASSISTANT, USER
from nait.data.columns.nested_texts import is_metadata, name_words, text_paths
from nait.data.field_names import ANSWER_WORDS, CHOSEN, QUESTION_WORDS, REJECTED, TEXT_COLUMNS, TOOLS
from nait.data.row_errors import SHOWN_NAMES, Row, is_empty, kind, quoted, value_at

_DEPTH = 8
_LONGEST_NAME = 4
_PLAIN = re.compile(r"[\w .-]*\w")
_SEPARATOR = re.compile(r"\w+([^\w\s.-])\w+(?:\1\w+)*")
_NUMBER_SUFFIX = re.compile(r"(?:(?:^|_)[a-z]|_?[0-9])$", re.IGNORECASE)
_YAML_SCALAR = re.compile(r"[+-]?[0-9._]+|null|none|true|false|nan|inf", re.IGNORECASE)


def hint(row: Row) -> str:
    """Sentence that identifies a row which is not an example; "" when nothing is recognised."""
    if _is_message(row):
        return "Each row is one message: write one conversation per row, {messages: [...]}. "
    if _is_tree(row):
        return "Each row is a tree of messages: write one path through it per row, {messages: [...]}. "
    if _is_turn_object(row):
        return "The turns are an object: write them as a list, {messages: [...]}. "
    if any(isinstance(one, str) and one.lstrip()[:3] in ("[{'", "{'") for one in row.values()):
        return "A list is a Python literal: write it with json.dumps. "
    mark = _SEPARATOR.fullmatch(next(iter(row))) if len(row) == 1 else None
    if mark:
        return f"If '{mark[1]}' separates columns, set data.separator='{mark[1]}'. "
    unknown = _unknown_turns(row) if guess_mapping(row) is None else ""
    if unknown:
        return unknown
    if len(row) == 1 and isinstance(next(iter(row.values())), str) and guess_mapping(row) is None:
        return (
            "Each row is one text, without the role markers of a transcript "
            f"({KNOWN}): add such markers, or write {{instruction, output}}. "
        )
    if "text" in (guess_mapping(row) or {}):
        return _transcript(row)
    return "It has tools, which are not supported. " if _has_tools(row) else ""


def _transcript(row: Row) -> str:
    """Sentence that names the column of a transcript and its role markers."""
    path = (guess_mapping(row) or {})["text"]
    return f"'{path}' is a transcript with the markers {first_markers(str(value_at(row, path)))}. "


def _unknown_turns(row: Row) -> str:
    """Sentence about a list of objects in no known message notation; "" without one."""
    for name, value in list(row.items())[:SHOWN_NAMES]:
        if isinstance(value, list) and value and isinstance(value[0], dict) and any(text_paths(value[0])):
            keys = ", ".join(map(quoted, list(value[0])[:SHOWN_NAMES]))
            return (
                f"{quoted(name)} holds objects with {keys}: if they are messages, write {{role, content}}. "
            )
    return ""


def must_be_rewritten(row: Row) -> bool:
    """Whether no column mapping can read the row, so that it must be rewritten."""
    return _is_message(row) or _is_tree(row) or _is_turn_object(row)


def mapping_caveats(row: Row, mapping: Mapping[str, str]) -> str:
    """Sentences on what the mapping omits or reads literally: other answers, further items, JSON text."""
    caveats, firsts = [], []
    for path in mapping.values():
        column = path.split(".")[0]
        others = [
            name
            for name in row
            if name != column and _numbered_stem(name) and _numbered_stem(name) == _numbered_stem(column)
        ]
        if others:
            caveats.append(f"The columns named below omit '{others[0]}'. ")
        if _takes_first_of_several(row, path):
            firsts.append(f"'{path}'")
        if isinstance(value_at(row, path), (bool, int)):
            caveats.append(f"'{path}' is {kind(value_at(row, path))}, which is read as its JSON text. ")
        if _is_json_list(value_at(row, path)):
            caveats.append(f"'{path}' holds a list as JSON text, which is read literally. ")
    if firsts:
        caveats.append(f"Only the first item of each list is read with {' and '.join(firsts)}. ")
    rows = {path.rpartition(".0.")[0] for path in mapping.values()}
    if (
        len(mapping) == 2
        and len(rows) == 1
        and "." in "".join(rows)
        and all(".0." in path for path in mapping.values())
    ):
        caveats.append(
            f"If the file is one object and its rows are a list in it, set data.field={rows.pop()}. "
        )
    return "".join(dict.fromkeys(caveats))


def mapping_text(mapping: Mapping[str, str]) -> str:
    """Mapping as typed on the command line; names with special characters are quoted."""
    return "{" + ", ".join(f"{name}: {_yaml_quoted(column)}" for name, column in mapping.items()) + "}"


def guess_mapping(row: Row) -> dict[str, str] | None:
    """Mapping that may read a row that no layout fits: the chosen answer of a preference pair, or nested texts."""
    if must_be_rewritten(row):
        return None
    columns = {
        name: value
        for name, value in list(row.items())[:SHOWN_NAMES]
        if not any(word in name for word in REJECTED)
    }
    if isinstance(columns.get("prompt"), list) and isinstance(columns.get("chosen"), list):
        return {"prompt": "prompt", "completion": "chosen"}
    return _guessed_conversation(columns) or _guessed_pair(columns)


def _guessed_conversation(columns: Row) -> dict[str, str] | None:
    """Mapping to a conversation anywhere in the row, or to a question and an answer in separate columns."""
    found = list(_conversations(columns))
    found.sort(key=lambda one: not any(word in one[0] for word in CHOSEN))
    question = next((path for path, who in found if who[-1] == USER), None)
    answer = next((path for path, who in found if who[0] == ASSISTANT), None)
    whole = next((path for path, who in found if who[0] != ASSISTANT and who[-1] == ASSISTANT), None)
    texts = [
        path
        for path in _text_paths(columns)
        if not any(path.startswith(f"{conversation}.") for conversation, _ in found)
    ]
    if whole is None:
        question = question or (
            _first_named([path for path in texts if not _inside_answer(path)], QUESTION_WORDS)
            if answer
            else None
        )
        answer = answer or (_first_named(texts, ANSWER_WORDS) if question else None)
        if question and answer:
            return {"prompt": question, "completion": answer}
    for text in _text_paths(columns):
        value = value_at(columns, text)
        if isinstance(value, str) and style_of(value) is not None and not awaits_answer(value):
            return {"text": text}
    conversation = whole or question
    if conversation is None:
        return None
    field = "conversations" if is_conversation(value_at(columns, conversation), SHAREGPT) else "messages"
    return {field: conversation}


def _conversations(value: object, path: str = "", depth: int = _DEPTH) -> Iterator[tuple[str, list[str]]]:
    """Paths of the conversations in a value, and their roles; lists contribute their first item only."""
    if path and is_messages(value):
        yield path, speaker_roles(value)
    elif depth and isinstance(value, (dict, list)):
        inner = list(value.items())[:SHOWN_NAMES] if isinstance(value, dict) else list(enumerate(value[:1]))
        for name, one in inner:
            yield from _conversations(one, f"{path}.{name}" if path else str(name), depth - 1)


def _guessed_pair(columns: Row) -> dict[str, str] | None:
    """Mapping to texts whose names suggest question and answer; of exactly two texts, the first and the second.

    A number in an answer column (a class) answers a single text.
    """
    texts = list(_text_paths(columns))
    question = _first_named([path for path in texts if not _inside_answer(path)], QUESTION_WORDS)
    answer = _first_named([path for path in texts if path != question], ANSWER_WORDS)
    if question and not answer:
        answer = next((path for path in texts if path in TEXT_COLUMNS and path != question), None)
    numbers = [name for name, one in columns.items() if isinstance(one, (bool, int)) and name in ANSWER_WORDS]
    if len(texts) == 1 and len(numbers) == 1:
        return {"prompt": texts[0], "completion": numbers[0]}
    if len(texts) == 2 and not (question and answer) and not numbers and all(map(_is_name, texts)):
        question = question or next(path for path in texts if path != answer)
        answer = answer or next(path for path in texts if path != question)
    return {"prompt": question, "completion": answer} if question and answer else None


def _text_paths(columns: Row) -> Iterator[str]:
    paths = (name + path for name, value in columns.items() for path in text_paths(value, depth=_DEPTH))
    return (path for path in paths if not is_metadata(path))


def _first_named(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """First path with one of these words as a name, in order of the words; else with the word inside a name."""
    for cut in (_names, _singular_names, name_words):
        for word in known:
            found = next((path for path in paths if word in cut(path)), None)
            if found:
                return found
    return None


def _singular_names(path: str) -> list[str]:
    return [name.removesuffix("s") for name in _names(path)]


def _inside_answer(path: str) -> bool:
    """Whether a path leads into an object with an answer name."""
    return any(name in ANSWER_WORDS for name in [*_names(path)[:-1], *_singular_names(path)[:-1]])


def _is_name(path: str) -> bool:
    """Whether a text looks like a column name rather than a cell (a question, a number, a sentence)."""
    return "?" not in path and not path[:1].isdigit() and len(path.split()) <= _LONGEST_NAME


def _names(path: str) -> list[str]:
    return path.casefold().split(".")


def _numbered_stem(name: str) -> str:
    return _NUMBER_SUFFIX.sub("", name) if _NUMBER_SUFFIX.search(name) else ""


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


def _yaml_quoted(column: str) -> str:
    if _PLAIN.fullmatch(column) and column == column.strip() and not _YAML_SCALAR.fullmatch(column):
        return column
    return '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_message(row: Row) -> bool:
    return "role" in row and ("text" in row or "content" in row)


def _is_tree(row: Row) -> bool:
    """Whether a row is a tree of messages: nested replies (OASST) or linked nodes (a ChatGPT export)."""
    for value in (row, *list(row.values())[:SHOWN_NAMES]):
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("replies"), list):
            return True
        nodes = list(value.values())[:SHOWN_NAMES]
        if nodes and all(isinstance(node, dict) and "children" in node for node in nodes):
            return True
    return False


def _is_turn_object(row: Row) -> bool:
    """Whether a column holds turns as an object, {turn_1: {...}, turn_2: {...}}."""
    return any(
        isinstance(value, dict)
        and bool(value)
        and all(key[-1:].isdigit() and isinstance(one, dict) for key, one in value.items())
        for value in list(row.values())[:SHOWN_NAMES]
    )


def _has_tools(row: Row) -> bool:
    return any(not is_empty(row.get(name)) for name in TOOLS)
