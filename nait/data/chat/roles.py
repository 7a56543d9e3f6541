"""Roles of messages, by role name or by a list of speakers next to a list of texts. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nait.core.errors import either
from nait.data.row_errors import RowError, is_missing, kind

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"
ROLES = {
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bing", "bard", "model", "ai", "bot", "chatbot"), ASSISTANT
    ),
    **dict.fromkeys(("system", "developer"), SYSTEM),
}
"""Role of each known name, in lower case."""
_PREFIX = re.compile(r"\s*(?:\*\*)?([^\W\d_][\w.' -]{0,29}?)(?:\*\*)?[:\uff1a](?:\*\*)?(?!//)\s*")
"""A speaker's name and a colon at the start of a text."""


WRITE_ROLES = "Write the role, user or assistant, instead of the speaker: {role: user, content: ...}"
"""Advice for messages whose speakers have names."""
_WORDS = re.compile(r"[\w.]+")
"""A column that a mapping names without quotes, or a path."""
_MISSPELT = 0.75
"""The minimum similarity of a name and a role that it may misspell."""


def unknown_role(name: str) -> str:
    """Advice for a role that is not known: the role that it misspells, else that it is a speaker's name."""
    shown, word = name[:60], name[:60].strip().casefold()
    near = difflib.get_close_matches(word, ROLES, n=2, cutoff=_MISSPELT) if len(word) > 2 else []
    advice = f"Did you mean {either([repr(one) for one in near])}?" if near else WRITE_ROLES
    return f"'{shown}' is not a role. {advice}"


class Message(NamedTuple):
    """One message: role (user, assistant or system), text, and whether it is trained."""

    role: str
    text: str
    trained: bool = True


def spoken_texts(texts: Sequence[str], column: str, speakers: object, speaker_column: str) -> list[Message]:
    """Messages of texts with one speaker each, in order. Raises: RowError.

    Known role names give the role. Of two other speakers, the first is the user and the second the assistant.
    """
    fix = "Write {role, content} messages, or set data.columns={speakers: null} to alternate the roles"
    if not isinstance(speakers, list):
        raise RowError(f"is {kind(speakers)}, not a list of speakers", column=speaker_column, fix=fix)
    if len(speakers) != len(texts):
        raise RowError(f"has another length than {column!r}", column=speaker_column, fix=fix)
    if any(is_missing(one) or not isinstance(one, (str, int)) for one in speakers):
        raise RowError("holds a speaker without a name", column=speaker_column, fix=fix)
    roles = _speaker_roles([str(one).strip().casefold() for one in speakers])
    if roles is None:
        raise RowError("has more than two speakers", column=speaker_column, fix=fix)
    return [Message(role, text) for role, text in zip(roles, texts, strict=True)]


def alternating_texts(texts: Sequence[str], column: str) -> list[Message]:
    """Messages of texts that alternate between user and assistant, or that begin with their speakers' roles.

    Raises: RowError for texts that begin with names of speakers who do not alternate.
    """
    found = [_PREFIX.match(text) for text in texts[:1]]
    names: list[str] = []
    if found and found[0]:
        found = [_PREFIX.match(text) for text in texts]
        names = [one[1].strip().casefold() for one in found if one]
    if len(names) == len(texts):
        if all(name in ROLES for name in names):
            return [
                Message(ROLES[name], text[one.end() :])
                for name, text, one in zip(names, texts, found, strict=True)
                if one
            ]
        both = {*names[::2]} & {*names[1::2]}
        if both and 1 < len({*names}) < len(names):
            raise RowError(
                "holds texts of speakers who do not alternate",
                column=column,
                fix="Write {role, content} messages, with the roles user and assistant",
            )
    return [Message((USER, ASSISTANT)[i % 2], text) for i, text in enumerate(texts)]


def _speaker_roles(names: Sequence[str]) -> list[str] | None:
    """Role of each speaker; None for more than two speakers of unknown role."""
    if all(name in ROLES for name in names):
        return [ROLES[name] for name in names]
    order = list(dict.fromkeys(names))
    known = [ROLES[name] for name in order if name in ROLES]
    if len(order) == 2 and len(known) == 1 and known[0] != SYSTEM:
        other = USER if known[0] == ASSISTANT else ASSISTANT
        return [ROLES.get(name, other) for name in names]
    if len(order) > 2 or any(name in ROLES for name in names):
        return None
    return [(USER, ASSISTANT)[order.index(name)] for name in names]


def two_speakers(messages: Sequence[Any], column: str, role: str, text: str) -> str:
    """Mapping that reads the messages of two speakers with names of their own; "" for any others.

    `role` and `text`: the keys of a message's speaker and of its text; "" without one.
    """
    if (
        not role
        or not text
        or not _WORDS.fullmatch(column)
        or not all(isinstance(one, dict) for one in messages)
    ):
        return ""
    names = [one.get(role) for one in messages]
    texts = all(isinstance(one, str) for one in (*names, *(one.get(text) for one in messages)))
    if not texts or len({*names}) != 2:
        return ""
    return f'{{messages: "{column}.*.{text}", speakers: "{column}.*.{role}"}}'
