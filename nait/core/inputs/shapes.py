"""Shapes of JSON from elsewhere: whether a value has the types that its reader expects.

A shape is a function: it returns what is wrong, as `place is what`, or an empty text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Shape = Callable[[Any], str]
DEEPEST = 64
"""The most levels of a value. Readers are recursive."""
LARGEST = 2**63
"""A bound of numbers: larger ones overflow on their way through a table."""


def text(value: Any) -> str:
    """The shape of a string."""
    return "" if isinstance(value, str) else _is(value, "a text")


def flag(value: Any) -> str:
    """The shape of true or false."""
    return "" if isinstance(value, bool) else _is(value, "true or false")


def whole(value: Any) -> str:
    """The shape of a whole number."""
    return "" if isinstance(value, int) and not isinstance(value, bool) else _is(value, "a whole number")


def real(value: Any) -> str:
    """The shape of any number, also NaN and infinity."""
    return "" if isinstance(value, (int, float)) and not isinstance(value, bool) else _is(value, "a number")


def finite(value: Any) -> str:
    """The shape of a number whose sums and products do not overflow."""
    return real(value) or ("" if abs(value) < LARGEST else _is(value, "a finite number"))


def leaf(value: Any) -> str:
    """The shape of a value that holds no others."""
    return _is(value, "a single value") if isinstance(value, (dict, list)) else ""


def optional(shape: Shape) -> Shape:
    """The shape of null or of this."""
    return lambda value: "" if value is None else shape(value)


def listed(shape: Shape) -> Shape:
    """The shape of a list whose entries have this shape."""

    def of(value: Any) -> str:
        if not isinstance(value, list):
            return _is(value, "a list")
        return _first((f"[{number}]", shape(one)) for number, one in enumerate(value))

    return of


def keyed(shape: Shape) -> Shape:
    """The shape of an object whose values have this shape."""

    def of(value: Any) -> str:
        if not isinstance(value, Mapping):
            return _is(value, "an object")
        return _first((f".{name}", shape(one)) for name, one in value.items())

    return of


def record(required: Mapping[str, Shape], **others: Shape) -> Shape:
    """The shape of an object with these entries, and with these others if they are present. Further ones may be."""

    def of(value: Any) -> str:
        if not isinstance(value, Mapping):
            return _is(value, "an object")
        lacking = next((name for name in required if name not in value), None)
        if lacking is not None:
            return f" has no '{lacking}'"
        shapes = {**required, **others}
        return _first((f".{name}", shapes[name](one)) for name, one in value.items() if name in shapes)

    return of


def fault(value: Any, shape: Shape) -> str:
    """What is wrong with a value, in words; empty if it has the shape."""
    return shape(value).removeprefix(".").lstrip()


def unreadable_part(value: Any) -> str:
    """What no reader of JSON can use: a nesting that is too deep, a huge number, half a character. Empty if none."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return ""
        if any(isinstance(one, int) and abs(one) > LARGEST for one in level):
            return "holds a number with more than 18 digits"
        if any(isinstance(one, str) and _is_broken(one) for one in level):
            return "holds half of a character (a lone surrogate)"
    return f"is nested more than {DEEPEST} levels deep"


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []


def _is_broken(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text)


def _first(found: Any) -> str:
    return next((place + wrong for place, wrong in found if wrong), "")


def _is(value: Any, wanted: str) -> str:
    shown = (
        "an object" if isinstance(value, dict) else "a list" if isinstance(value, list) else repr(value)[:40]
    )
    if isinstance(value, float) and not math.isfinite(value):
        shown = str(value)
    return f" is {shown}, not {wanted}"
