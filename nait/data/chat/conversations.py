"""Conversion of message lists to turns and a system message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nait.core.dataset.examples import Turn
from nait.data.chat.messages import MessageKeys, read_messages
from nait.data.chat.reasoning import Handling
from nait.data.chat.roles import ASSISTANT, SYSTEM, USER, Message
from nait.data.row_errors import Row, RowError, is_empty, value_at

ENDS = "ends with the user, without an answer"
_ALTERNATE = "Alternate user and assistant messages, starting with the user and ending with an answer"
_ONE_SYSTEM = "Write one system message first, then alternate user and assistant messages"

CONTEXT = "answers that are context (weight 0 or train false)"
CUT_END = "a trailing user message removed"
CUT_START = "leading assistant messages removed"
JOINED = "consecutive messages of one role joined"
CUT_CONTEXT = "turns after the last trained answer removed"


class Dialogue(NamedTuple):
    """Turns of a conversation, its system message (or ""), and notes on what was changed."""

    turns: tuple[Turn, ...]
    system: str
    notes: tuple[str, ...] = ()


def read_conversation(
    row: Row, column: str, keys: MessageKeys, handling: Handling, speakers: str | None = None
) -> Dialogue:
    """Turns of the conversation in this column. `speakers`: column with one speaker per text. Raises: RowError."""
    notes: list[str] = []
    named = (
        None if speakers is None or is_empty(value_at(row, speakers)) else (value_at(row, speakers), speakers)
    )
    messages = read_messages(value_at(row, column), column, keys, handling, notes, named)
    return turns_from_messages(messages, column, handling, notes)


def turns_from_messages(
    messages: Sequence[Message], column: str, handling: Handling, notes: list[str]
) -> Dialogue:
    """Turns of a list of messages; `handling.turns="mend"` repairs their order first.

    Raises: RowError when users and assistants do not alternate.
    """
    heads = 1 if messages and messages[0].role == SYSTEM else 0
    rest = list(messages[heads:])
    fix = _ALTERNATE
    if handling.turns == "mend":
        rest = _mend_order(rest, notes)
    elif _is_mendable(rest):
        fix = f"{_ALTERNATE}, or set data.turns=mend"
    _check_order([*(one.role for one in messages[:heads]), *(one.role for one in rest)], heads, column, fix)
    turns = tuple(
        Turn(question.text, answer.text, trained=answer.trained)
        for question, answer in zip(rest[::2], rest[1::2], strict=True)
    )
    if not all(turn.trained for turn in turns):
        notes.append(CONTEXT)
        last = max((i for i, turn in enumerate(turns) if turn.trained), default=len(turns) - 1)
        if last + 1 < len(turns):  # no trained answer follows them
            turns = turns[: last + 1]
            notes.append(CUT_CONTEXT)
    return Dialogue(turns, messages[0].text if heads else "", tuple(dict.fromkeys(notes)))


def _mend_order(messages: list[Message], notes: list[str]) -> list[Message]:
    """Messages from the first user message to the last answer, with consecutive messages of one role joined."""
    if any(one.role == SYSTEM for one in messages):
        return messages
    first = next((i for i, one in enumerate(messages) if one.role == USER), len(messages))
    if first:
        notes.append(CUT_START)
    joined: list[Message] = []
    for one in messages[first:]:
        if joined and joined[-1].role == one.role:
            before = joined.pop()
            one = Message(one.role, f"{before.text}\n\n{one.text}", before.trained and one.trained)
            notes.append(JOINED)
        joined.append(one)
    if joined and joined[-1].role == USER and len(joined) > 1:
        joined.pop()
        notes.append(CUT_END)
    return joined


def _is_mendable(messages: list[Message]) -> bool:
    """Whether `turns=mend` makes users and assistants alternate: an answer follows a user message."""
    roles = [one.role for one in messages]
    return SYSTEM not in roles and USER in roles and ASSISTANT in roles[roles.index(USER) :]


def _check_order(roles: list[str], heads: int, column: str, fix: str) -> None:
    """Raises: RowError unless roles alternate after the system message and end with the assistant."""
    expected = USER
    for i, role in enumerate(roles[heads:], heads):
        if role != expected:
            advice = _ONE_SYSTEM if role == SYSTEM else fix
            raise RowError(_order_fault(role, first=i == heads), column=column, at=f"[{i}]", fix=advice)
        expected = ASSISTANT if role == USER else USER
    if len(roles) == heads:
        raise RowError("has no user message", column=column, fix=fix)
    if expected == ASSISTANT:
        raise RowError(ENDS, column=column, fix=fix)


def _order_fault(role: str, *, first: bool) -> str:
    if role == SYSTEM:
        return "has a system message that is not the first message"
    if first:
        return "begins with the assistant"
    return f"has two {role} messages in a row"
