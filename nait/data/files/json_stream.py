"""Streaming JSON parser: array items or consecutive values, without loading the whole text."""

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
"""Errors this close to the end of the window, in characters, may be caused by truncation."""


class ArrayError(ValueError):
    """Unexpected text at the 1-based `line`. `large`: a value exceeds the size limit."""

    def __init__(self, what: str, line: int, *, large: bool = False) -> None:
        self.line = line
        self.large = large
        super().__init__(what)


def mark_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Object of these pairs; the value of a repeated key becomes `Unreadable`."""
    made = dict(pairs)
    if len(made) < len(pairs):
        for name, count in Counter(name for name, _ in pairs).items():
            if count > 1:
                text = json.dumps(made[name], default=str, ensure_ascii=False)
                made[name] = Unreadable("occurs twice in one object", text)
    return made


def array_items(text: TextIO, *, max_size: int | None = None) -> Iterator[Any]:
    """Items of a JSON array; memory holds one item of at most `max_size` characters and a window of the file.

    Items should be objects: a bare number split by the window's edge is parsed wrongly.
    NaN and Infinity are accepted, as in Python's json. Raises: ArrayError.
    """
    window = _Window(text, max_size)
    if window.take() != "[":
        raise ArrayError("does not begin with '['", window.line)
    if window.peek() == "]":
        window.take()
    else:
        yield window.item()
        while (mark := window.take()) == ",":
            if window.peek() == "]":
                raise ArrayError("has a comma after the last row", window.line)
            yield window.item()
        if mark != "]":
            raise ArrayError(
                f"has {mark!r} instead of ',' or ']'" if mark else "ends inside the array", window.line
            )
    if window.peek():
        raise ArrayError("has text after the end of the array", window.line)


def values(text: TextIO, *, max_size: int | None = None) -> Iterator[Any]:
    """Consecutive values separated by white space. Raises: ArrayError."""
    window = _Window(text, max_size)
    while window.peek():
        yield window.item()


class _Window:
    """Sliding window over the text, with a read position."""

    def __init__(self, text: TextIO, max_size: int | None) -> None:
        self._text = text
        self._max_size = max_size
        self._held = ""
        self._at = 0
        self._lines_before = 0
        self._decoder = json.JSONDecoder(object_pairs_hook=mark_repeated_keys)

    @property
    def line(self) -> int:
        """1-based line of the read position."""
        return self._line_of(self._at)

    def _line_of(self, at: int) -> int:
        return self._lines_before + self._held.count("\n", 0, at) + 1

    def _grow(self) -> bool:
        """Load more text and drop what has been read; returns whether there was more.

        Raises: ArrayError when a value exceeds the size limit.
        """
        if self._max_size is not None and len(self._held) - self._at > self._max_size:
            raise ArrayError("has a value that is too large", self.line, large=True)
        # Double the window, so that a long item is parsed only a few times.
        more = self._text.read(max(_CHUNK, len(self._held) - self._at))
        self._lines_before += self._held.count("\n", 0, self._at)
        self._held = self._held[self._at :] + more
        self._at = 0
        return bool(more)

    def peek(self) -> str:
        """Next non-blank character without consuming it; "" at the end."""
        while True:
            match = _BLANK.match(self._held, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._held):
                return self._held[self._at]
            if not self._grow():
                return ""

    def take(self) -> str:
        """Next non-blank character, consumed; "" at the end."""
        found = self.peek()
        self._at += len(found)
        return found

    def item(self) -> Any:
        """Next JSON value, consumed. Raises: ArrayError."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
            except MemoryError:
                raise ArrayError("has a value that is too large", self.line, large=True) from None
            except (ValueError, RecursionError) as error:
                if self._may_be_cut(error) and self._grow():
                    continue
                at = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                what = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
                raise ArrayError(f"is not JSON ({what[:200]})", self._line_of(at)) from None
            self._at = end
            return value

    def _may_be_cut(self, error: Exception) -> bool:
        """Whether the window may end inside the value."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.msg.startswith("Unterminated string") or error.pos >= len(self._held) - _EDGE
