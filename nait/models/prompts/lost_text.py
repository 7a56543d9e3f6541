"""Lost text: check that a chat template shows every field of a row. White space may differ."""

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
    """Check that the text of a turn contains each of its fields that has a visible character.

    Raises: DataError with the name of the first missing field.
    """
    shown = _bare(text)
    given = {name: _bare(field) for name, field in fields.items() if _bare(field)}
    for name, field in given.items():
        others = [other for key, other in given.items() if key != name]
        if field not in shown or _only_elsewhere(chat, name, field, others, system="system message" in given):
            first = "Put it into the first instruction, or use " if name == "system message" else "Use "
            raise DataError(
                f"the model's chat template does not show its {name}",
                where=where,
                fix=f"{first}template=alpaca or plain",
            )


def _only_elsewhere(chat: Chat, name: str, field: str, others: Sequence[str], *, system: bool) -> bool:
    """Whether a text contains a field only because other fields or the template's own text contain it."""
    frame, ignored = _rendered_marks(chat, system=system)
    return name in ignored and any(field in other for other in (frame, *others))


@lru_cache(maxsize=8)
def _rendered_marks(chat: Chat, *, system: bool) -> tuple[str, frozenset[str]]:
    """The rendered text of a row of marks, and the fields it omits; empty if the template refuses the row."""
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
    """Text without white space."""
    return "".join(text.split())
