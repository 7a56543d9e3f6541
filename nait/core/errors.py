"""Errors a user can mend: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class NaitError(Exception):
    """One clear message: what is wrong, where it stands, how to mend it.

    `where` names a file, row, field or config key. The command line prints the message and ends with
    exit code 2; anything that is not a `NaitError` is a defect of ours and shows its traceback.
    """

    def __init__(self, what: str, *, where: str = "", mend: str = "") -> None:
        self.what = what
        self.where = where
        self.mend = mend
        super().__init__(what, where, mend)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.mend:
            parts.append(self.mend)
        return " ".join(part if part.endswith((".", "?", "!")) else part + "." for part in parts)


class ConfigError(NaitError):
    """A config key or value that cannot be used."""


class DataError(NaitError):
    """A file, row or field that cannot be used."""


class ModelError(NaitError):
    """A model that lacks what was asked of it."""


class StoreError(NaitError):
    """An artifact that is damaged or cannot be written."""


MANY = 40
"""A longer list of known words helps nobody."""


MARGIN = 0.1
"""Words that are less like it than the nearest by more than this are not offered beside it."""


_NEAR = 0.55


def _likeness(name: str, word: str) -> float:
    """How alike two words are, from 0 to 1; 0 where they cannot reach the bound."""
    matcher = difflib.SequenceMatcher(None, name, word)
    return matcher.ratio() if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _NEAR else 0.0


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that offers the nearest known words, whatever their case, or lists them when none is near."""
    names = sorted(set(known))
    folded = word.casefold()
    scored = sorted(((_likeness(name.casefold(), folded), name) for name in names), reverse=True)[:3]
    near = [name for one, name in scored if one >= _NEAR and one > scored[0][0] - MARGIN]
    if near:
        return "Did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "Known: " + ", ".join(names) + "." if 0 < len(names) <= MANY else ""


def either(names: Sequence[str]) -> str:
    """The names as alternatives: "a", "a or b", "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def first_line(error: Exception) -> str:
    """The first line of a library's message, its error's name where there is none: enough to go into one of ours."""
    message = str(error).strip()
    return message.splitlines()[0][:300] if message else type(error).__name__
