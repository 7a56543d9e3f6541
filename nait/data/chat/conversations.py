"""Conversations: messages in, turns and a system message out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nait.core.dataset.examples import Turn
from nait.data.chat.messages import ASSISTANT, SYSTEM, USER, MessageKeys, Said, messages_of
from nait.data.chat.reasoning import Handling
from nait.data.row_errors import Row, RowError, value_at

ENDS = "ends with the user, without an answer"
_TAKE_TURNS = "Let user and assistant take turns, from a user's message to an answer"
_ONE_SYSTEM = "Write one system message, in front, and let user and assistant take turns behind it"

CONTEXT = "answers that are context (weight 0 or train false)"
CUT_END = "a last message without an answer cut off"
CUT_START = "first messages of the assistant cut off"
JOINED = "messages of one speaker joined"
CUT_CONTEXT = "turns behind the last trained answer cut off"


class Dialogue(NamedTuple):
    """The turns of a conversation, its system message or "", and what was done to it."""

    turns: tuple[Turn, ...]
    system: str
    notes: tuple[str, ...] = ()


def read_conversation(row: Row, column: str, keys: MessageKeys, handling: Handling) -> Dialogue:
    """The turns of the conversation in this column. Raises: RowError."""
    notes: list[str] = []
    said = messages_of(value_at(row, column), column, keys, handling, notes)
    return take_turns(said, column, handling, notes)


def take_turns(said: Sequence[Said], column: str, handling: Handling, notes: list[str]) -> Dialogue:
    """The messages as turns, mended if that is wished. Raises: RowError for messages that are not turns."""
    heads = 1 if said and said[0].role == SYSTEM else 0
    rest = list(said[heads:])
    if handling.turns == "mend":
        rest = _mended(rest, notes)
    mend = _TAKE_TURNS if handling.turns == "mend" else f"{_TAKE_TURNS}, or set data.turns=mend"
    _check_order([*(one.role for one in said[:heads]), *(one.role for one in rest)], heads, column, mend)
    turns = tuple(
        Turn(asked.text, answer.text, trained=answer.trained)
        for asked, answer in zip(rest[::2], rest[1::2], strict=True)
    )
    if not all(turn.trained for turn in turns):
        notes.append(CONTEXT)
        last = max((i for i, turn in enumerate(turns) if turn.trained), default=len(turns) - 1)
        if last + 1 < len(turns):  # no answer that is trained could see them
            turns = turns[: last + 1]
            notes.append(CUT_CONTEXT)
    return Dialogue(turns, said[0].text if heads else "", tuple(dict.fromkeys(notes)))


def _mended(said: list[Said], notes: list[str]) -> list[Said]:
    """The messages from the first user's to the last answer, consecutive messages of one speaker joined."""
    if any(one.role == SYSTEM for one in said):
        return said
    first = next((i for i, one in enumerate(said) if one.role == USER), len(said))
    if first:
        notes.append(CUT_START)
    joined: list[Said] = []
    for one in said[first:]:
        if joined and joined[-1].role == one.role:
            before = joined.pop()
            one = Said(one.role, f"{before.text}\n\n{one.text}", before.trained and one.trained)
            notes.append(JOINED)
        joined.append(one)
    if joined and joined[-1].role == USER and len(joined) > 1:
        joined.pop()
        notes.append(CUT_END)
    return joined


def _check_order(roles: list[str], heads: int, column: str, take_turns: str) -> None:
    """Raises: RowError unless, after the system message, users and assistants take turns to an answer."""
    awaited = USER
    for i, role in enumerate(roles[heads:], heads):
        if role != awaited:
            mend = _ONE_SYSTEM if role == SYSTEM else take_turns
            raise RowError(_misplaced(role, first=i == heads), column=column, at=f"[{i}]", mend=mend)
        awaited = ASSISTANT if role == USER else USER
    if len(roles) == heads:
        raise RowError("holds no message of a user", column=column, mend=take_turns)
    if awaited == ASSISTANT:
        raise RowError(ENDS, column=column, mend=take_turns)


def _misplaced(role: str, *, first: bool) -> str:
    if role == SYSTEM:
        return "has a system message that is not the first message"
    if first:
        return "begins with the assistant"
    return f"has two messages of the {role} in a row"
