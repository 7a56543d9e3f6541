"""Errors that a user can fix: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from nait.core.inputs.secrets import masked
from nait.core.inputs.visible_text import visible


class NaitError(Exception):
    """An error with one clear message: what is wrong, where, and how to fix it.

    `where` names a file, row, field or config key. The command line prints the message and exits with code 2.
    Any other exception is a bug in this package and shows its traceback.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what, where, fix)

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, which would give a job's error of another process to the constructor by position."""
        return _rebuilt, (type(self), self.args, self.__dict__)

    def __str__(self) -> str:
        where = self.where.replace("\n", "\\n")  # a place is on one line, also if a file's name has two
        parts = [f"{where}: {self.what}" if where else self.what]
        if self.fix:
            parts.append(self.fix)
        whole = " ".join(part if part.endswith((".", "?", "!")) else part + "." for part in parts)
        return visible(whole)


def _rebuilt(kind: type[NaitError], args: tuple[Any, ...], state: Mapping[str, Any]) -> NaitError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


class ConfigError(NaitError):
    """A config key or value is invalid."""


class DataError(NaitError):
    """A file, row or field is invalid."""


class ModelError(NaitError):
    """A model cannot be used as requested."""


class StoreError(NaitError):
    """An artifact is damaged or cannot be written."""


def show_bug(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print the traceback of an exception that is a bug, without the secrets and control characters in its texts."""
    lines = traceback.format_exception(kind, error, trace)
    print(visible(masked("".join(lines))), end="", file=sys.stderr)  # noqa: T201


MANY = 40
"""The maximum number of known words that a message lists."""


MARGIN = 0.1
"""A suggestion's similarity may be this much below the best one's."""


_NEAR = 0.55
"""The minimum similarity of a suggestion."""


def _similarity(name: str, word: str) -> float:
    """The similarity of two words in [0, 1]; 0 below `_NEAR`."""
    matcher = difflib.SequenceMatcher(None, name, word)
    return matcher.ratio() if min(matcher.real_quick_ratio(), matcher.quick_ratio()) >= _NEAR else 0.0


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence that suggests the nearest known words, ignoring case, or lists all when none is near."""
    names = sorted(set(known))
    folded = word.casefold()
    scored = sorted(((_similarity(name.casefold(), folded), name) for name in names), reverse=True)[:3]
    near = [name for one, name in scored if one >= _NEAR and one > scored[0][0] - MARGIN]
    if near:
        return "Did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return "Known: " + ", ".join(names) + "." if 0 < len(names) <= MANY else ""


def either(names: Sequence[str]) -> str:
    """The names as alternatives: "a", "a or b", "a, b or c"."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def first_line(error: Exception) -> str:
    """The first line of an exception's message, at most 300 characters; its class name when it has no message."""
    message = str(error).strip()
    return message.splitlines()[0][:300] if message else type(error).__name__
