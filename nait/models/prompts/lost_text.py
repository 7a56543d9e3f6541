"""Shown: whether a chat template writes all of a row. Templates alter white space freely; anything else is a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from nait.core.errors import ConfigError, DataError
from nait.models.prompts.answer_span import Chat

_MARKS = {
    "system message": "nait system 7c1e",
    "instruction": "nait instruction 7c1e",
    "input": "nait input 7c1e",
}


def check_shown(chat: Chat, text: str, fields: Mapping[str, str], *, where: str) -> None:
    """Checks that the text of a turn holds each of its fields, by name, that has a visible character.

    Raises: DataError that names the first field that is not shown.
    """
    shown = _bare(text)
    given = {name: _bare(field) for name, field in fields.items() if _bare(field)}
    for name, field in given.items():
        others = [other for key, other in given.items() if key != name]
        if field not in shown or _borrowed(chat, name, field, others, system="system message" in given):
            first = "Put it into the first instruction, or use " if name == "system message" else "Use "
            raise DataError(
                f"the model's chat template does not show its {name}",
                where=where,
                mend=f"{first}template=alpaca or plain",
            )


def _borrowed(chat: Chat, name: str, field: str, others: Sequence[str], *, system: bool) -> bool:
    """Whether a text holds a field only because other fields or the template's own words do."""
    frame, ignored = _marked(chat, system=system)
    return name in ignored and any(field in other for other in (frame, *others))


@lru_cache(maxsize=8)
def _marked(chat: Chat, *, system: bool) -> tuple[str, frozenset[str]]:
    """The text of a row of marks, and the fields whose mark it lacks; none where the template refuses that row."""
    messages = [{"role": "user", "content": f"{_MARKS['instruction']}\n{_MARKS['input']}"}]
    if system:
        messages.insert(0, {"role": "system", "content": _MARKS["system message"]})
    try:
        text = _bare(chat.render(messages, True))
    except (DataError, ConfigError):
        return "", frozenset()
    marks = {name: _bare(mark) for name, mark in _MARKS.items() if system or name != "system message"}
    return text, frozenset(name for name, mark in marks.items() if mark not in text)


def _bare(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())
