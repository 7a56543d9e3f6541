"""Conversations: a list of messages in, turns and a system message out.

Both ways of writing one are read: {role, content} (chat, "messages") and {from, value} (ShareGPT).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from nait.core.errors import did_you_mean
from nait.core.examples import Turn
from nait.data.rows import Row, RowError, checked_text, kind

_USER, _ASSISTANT, _SYSTEM = "user", "assistant", "system"
_ROLES = {
    "user": _USER,
    "human": _USER,
    "assistant": _ASSISTANT,
    "gpt": _ASSISTANT,
    "chatgpt": _ASSISTANT,
    "bing": _ASSISTANT,
    "bard": _ASSISTANT,
    "model": _ASSISTANT,
    "system": _SYSTEM,
    "developer": _SYSTEM,
}
_TOOL_ROLES = {
    "tool",
    "tool_call",
    "function",
    "function_call",
    "function_response",
    "observation",
    "ipython",
}
_TAKE_TURNS = "Let user and assistant take turns, from a user's message to an answer"


class MessageKeys(NamedTuple):
    """The keys under which a message keeps its speaker and its text."""

    role: str
    text: str


CHAT = MessageKeys("role", "content")
SHAREGPT = MessageKeys("from", "value")


def looks_like(value: object, keys: MessageKeys) -> bool:
    """Whether a column's value is a conversation with these keys, as far as its first message tells."""
    return isinstance(value, list) and (not value or (isinstance(value[0], dict) and keys.role in value[0]))


def read_conversation(row: Row, column: str, keys: MessageKeys) -> tuple[tuple[Turn, ...], str]:
    """The turns of the conversation in this column, and its system message or "". Raises: RowError."""
    value = row.get(column)
    if not isinstance(value, list):
        what = "is missing" if value is None else f"is {kind(value)}, not a list"
        mend = f"Write a list of messages, {{{keys.role}: ..., {keys.text}: ...}}"
        raise RowError(what, column=column, mend=mend)
    spoken = [_message(message, column, f"[{i}]", keys) for i, message in enumerate(value)]
    heads = 1 if spoken and spoken[0][0] == _SYSTEM else 0
    _check_order([role for role, _ in spoken], heads, column)
    texts = [text for _, text in spoken]
    asked, answered = texts[heads::2], texts[heads + 1 :: 2]
    turns = tuple(Turn(question, answer) for question, answer in zip(asked, answered, strict=True))
    return turns, texts[0] if heads else ""


def _message(message: object, column: str, at: str, keys: MessageKeys) -> tuple[str, str]:
    """Who speaks (user, assistant or system) and what."""
    if not isinstance(message, dict):
        mend = f"Write it as {{{keys.role}: ..., {keys.text}: ...}}"
        raise RowError(f"holds {kind(message)} where a message should stand", column=column, at=at, mend=mend)
    name = checked_text(message.get(keys.role), column, f"{at}.{keys.role}")
    if name in _TOOL_ROLES or message.get("tool_calls"):
        raise RowError(
            "holds a call to a tool or its result",
            column=column,
            at=at,
            mend="Tools are not supported: leave such rows out",
        )
    if name not in _ROLES:
        mend = f"'{name}' is no role. {did_you_mean(name, _ROLES)}"
        raise RowError("holds an unknown role", column=column, at=f"{at}.{keys.role}", mend=mend)
    return _ROLES[name], _spoken_text(message.get(keys.text), column, f"{at}.{keys.text}")


def _spoken_text(content: Any, column: str, at: str) -> str:
    """The text of a message; of a list of parts, all of which must be text, the parts joined."""
    if not isinstance(content, list):
        return checked_text(content, column, at)
    parts = []
    for i, part in enumerate(content):
        if not isinstance(part, dict) or part.get("type") != "text":
            raise RowError(
                "holds a part that is not text",
                column=column,
                at=f"{at}[{i}]",
                mend="Give {type: text, text: ...} parts only",
            )
        parts.append(checked_text(part.get("text"), column, f"{at}[{i}].text"))
    return "".join(parts)


def _check_order(roles: list[str], heads: int, column: str) -> None:
    """Raises: RowError unless, after the system message, users and assistants take turns to an answer."""
    awaited = _USER
    for i, role in enumerate(roles[heads:], heads):
        if role != awaited:
            raise RowError(_misplaced(role, first=i == heads), column=column, at=f"[{i}]", mend=_TAKE_TURNS)
        awaited = _ASSISTANT if role == _USER else _USER
    if len(roles) == heads:
        raise RowError("holds no message of a user", column=column, mend=_TAKE_TURNS)
    if awaited == _ASSISTANT:
        raise RowError("ends with the user, without an answer", column=column, mend=_TAKE_TURNS)


def _misplaced(role: str, *, first: bool) -> str:
    if role == _SYSTEM:
        return "has a system message that is not the first message"
    if first:
        return "begins with the assistant"
    return f"has two messages of the {role} in a row"
