"""Guesses of a mapping to a conversation: messages anywhere in a row, turns, two speakers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nait.data.chat.marks import awaits_answer, style_of
from nait.data.chat.messages import CHAT, SHAREGPT, is_conversation, is_messages, speaker_roles, turn_keys
from nait.data.chat.roles import ASSISTANT, USER, two_speakers
from nait.data.columns.hints.mappings.named_paths import (
    DEPTH,
    first_named,
    inside_answer,
    named_texts,
)
from nait.data.columns.nested_texts import is_history
from nait.data.field_names import (
    ANSWER_WORDS,
    CHOSEN,
    QUESTION_WORDS,
    SPEAKERS,
)
from nait.data.row_errors import SHOWN_NAMES, Row, value_at


def guess_turns(columns: Row) -> dict[str, str] | None:
    """Mapping to a list of turns, {user, bot}, if it is the only text of the row, or to a list of utterances."""
    spoken = [
        name for name, one in columns.items() if name.casefold() == "utterances" and is_history(name, one)
    ]
    beside = [one for name, one in columns.items() if isinstance(one, list) and name not in spoken]
    parallel = spoken and any(len(one) == len(columns[spoken[0]]) for one in beside)
    if spoken and len(columns[spoken[0]]) > 1 and not parallel:
        return {"messages": spoken[0]}
    found = [name for name, one in columns.items() if isinstance(one, list) and one and turn_keys(one[0])]
    texts = {path.split(".")[0] for path in named_texts(columns)}
    return {"messages": found[0]} if len(found) == 1 and texts == {*found} else None


def guess_speakers(columns: Row) -> dict[str, str] | None:
    """Mapping to the texts and the speakers of a list of objects with two speakers (a transcribed call)."""
    for name, value in columns.items():
        first = value[0] if isinstance(value, list) and value and isinstance(value[0], dict) else {}
        who, text = (
            next((key for key in SPEAKERS if key in first), ""),
            next((key for key in CHAT.text if key in first), ""),
        )
        if who and two_speakers(value, name, who, text):
            return {"messages": f"{name}.*.{text}", "speakers": f"{name}.*.{who}"}
    return None


def guess_conversation(columns: Row) -> dict[str, str] | None:
    """Mapping to a conversation anywhere in the row, or to a question and an answer in separate columns."""
    found = list(_conversations(columns))
    found.sort(key=lambda one: not any(word in one[0] for word in CHOSEN))
    question = next((path for path, who in found if who[-1] == USER), None)
    answer = next((path for path, who in found if who[0] == ASSISTANT), None)
    whole = next((path for path, who in found if who[0] != ASSISTANT and who[-1] == ASSISTANT), None)
    texts = [
        path
        for path in named_texts(columns)
        if not any(path.startswith(f"{conversation}.") for conversation, _ in found)
    ]
    if whole is None:
        question = question or (
            first_named([path for path in texts if not inside_answer(path)], QUESTION_WORDS)
            if answer
            else None
        )
        answer = answer or (first_named(texts, ANSWER_WORDS) if question else None)
        if question and answer:
            return {"prompt": question, "completion": answer}
    for text in named_texts(columns):
        value = value_at(columns, text)
        if isinstance(value, str) and style_of(value) is not None and not awaits_answer(value):
            return {"text": text}
    conversation = whole or question
    if conversation is None:
        return None
    field = "conversations" if is_conversation(value_at(columns, conversation), SHAREGPT) else "messages"
    return {field: conversation}


def _conversations(value: object, path: str = "", depth: int = DEPTH) -> Iterator[tuple[str, list[str]]]:
    """Paths of the conversations in a value, and their roles; lists contribute their first item only."""
    if path and is_messages(value):
        yield path, speaker_roles(value)
    elif isinstance(value, list) and (key := _wrapped_messages(value)):
        yield f"{path}.*.{key}".lstrip("."), [speaker_roles(one[key])[0] for one in value]
    elif depth and isinstance(value, (dict, list)):
        inner = list(value.items())[:SHOWN_NAMES] if isinstance(value, dict) else list(enumerate(value[:1]))
        for name, one in inner:
            yield from _conversations(one, f"{path}.{name}" if path else str(name), depth - 1)


def _wrapped_messages(value: list[Any]) -> str:
    """Key of the message in each of two or more objects of a list; "" for any other list."""
    if len(value) < 2 or not all(isinstance(one, dict) for one in value):
        return ""
    return next((key for key in value[0] if all(_is_message(one.get(key)) for one in value)), "")


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and is_messages(value) and len(speaker_roles(value)) == 1
