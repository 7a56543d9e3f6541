"""JSON values of a text, one after the other, without the whole text in memory."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, TextIO

from nait.data.row_errors import Unreadable

_BLANK = re.compile(r"[ \t\r\n]*")
_CHUNK = 1 << 20
_EDGE = 16
"""Characters before the window's end in which an error may only mean that the window ends too early."""


class ArrayError(ValueError):
    """The text is not what was awaited. `line` is 1-based. `large`: a value is beyond the bound."""

    def __init__(self, what: str, line: int, *, large: bool = False) -> None:
        self.line = line
        self.large = large
        super().__init__(what)


def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object of these pairs; a key that is there twice has a value that no field can be read from."""
    made = dict(pairs)
    if len(made) < len(pairs):
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                text = json.dumps(made[name], default=str, ensure_ascii=False)
                made[name] = Unreadable("is there twice in one object", text)
    return made


def array_items(text: TextIO, *, most: int | None = None) -> Iterator[Any]:
    """The array's items, of which only one and a stretch of the file are held at a time, of `most` characters.

    The items should be objects: a bare number that lies across the window's edge is not put together.
    NaN and Infinity are read, as Python's json reads them. Raises: ArrayError.
    """
    window = _Window(text, most)
    if window.take() != "[":
        raise ArrayError("does not begin with '['", window.line)
    if window.peek() == "]":
        window.take()
    else:
        yield window.item()
        while (mark := window.take()) == ",":
            if window.peek() == "]":
                raise ArrayError("has a comma behind the last row", window.line)
            yield window.item()
        if mark != "]":
            raise ArrayError(f"has {mark!r} in place of ',' or ']'" if mark else "ends early", window.line)
    if window.peek():
        raise ArrayError("continues after the array's end", window.line)


def values(text: TextIO, *, most: int | None = None) -> Iterator[Any]:
    """The values that follow each other with nothing but blanks between them. Raises: ArrayError."""
    window = _Window(text, most)
    while window.peek():
        yield window.item()


class _Window:
    """A stretch of the text, and the place in it that is read next."""

    def __init__(self, text: TextIO, most: int | None) -> None:
        self._text = text
        self._most = most
        self._held = ""
        self._at = 0
        self._lines_before = 0
        self._decoder = json.JSONDecoder(object_pairs_hook=once)

    @property
    def line(self) -> int:
        """The 1-based line of the place that is read next."""
        return self._line_of(self._at)

    def _line_of(self, at: int) -> int:
        return self._lines_before + self._held.count("\n", 0, at) + 1

    def _grow(self) -> bool:
        """Whether there was more text to hold; what has been read is dropped."""
        if self._most is not None and len(self._held) - self._at > self._most:
            raise ArrayError("is too large a value", self.line, large=True)
        # As much again as is held: an item longer than the window is then tried a few times only.
        more = self._text.read(max(_CHUNK, len(self._held) - self._at))
        self._lines_before += self._held.count("\n", 0, self._at)
        self._held = self._held[self._at :] + more
        self._at = 0
        return bool(more)

    def peek(self) -> str:
        """The next character that is not blank, "" at the end."""
        while True:
            match = _BLANK.match(self._held, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._grow():
                return ""

    def take(self) -> str:
        """The same character; the place moves behind it."""
        found = self.peek()
        self._at += len(found)
        return found

    def item(self) -> Any:
        """The JSON value that begins at the next character that is not blank."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except (ValueError, RecursionError) as error:
                if self._may_be_cut(error) and self._grow():
                    continue
                at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ArrayError(f"is not JSON ({what[:200]})", self._line_of(at)) from None
            self._at = end
            return value

    def _may_be_cut(self, error: Exception) -> bool:
        """Whether the text that is held may just end inside the value."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._held) - _EDGE
