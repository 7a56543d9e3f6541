"""Steps of a column path: a key, an index, the last item (-1), every item (*), the best item (max_by_KEY). Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nait.data.columns.nested_texts import name_words

EVERY = "*"
_INDEX = re.compile(r"-?[0-9]{1,9}", re.ASCII)
_BEST = re.compile(r"(max|min)_by_(.+)")
_SCORES = frozenset({"score", "rating", "rank", "reward", "vote", "upvote", "quality", "preference"})
"""Last words of keys that rate an answer, in the singular. The lowest rank is the best."""


def follow(value: Any, steps: Sequence[str], row: Mapping[str, Any]) -> Any:
    """Value that the steps lead to from `value`, a column of `row`; None when it does not exist.

    A step into JSON text reads the list or object in it.
    """
    for i, step in enumerate(steps):
        value = parsed(value)
        if step == EVERY and isinstance(value, list):
            found = [follow(one, steps[i + 1 :], row) for one in value]
            return [one for one in found if one is not None]
        value = _step(value, step, row)
        if value is None:
            return None
    return value


def parsed(value: Any) -> Any:
    """List or object in JSON text; any other value unchanged."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _step(value: Any, step: str, row: Mapping[str, Any]) -> Any:
    if isinstance(value, Mapping) and step in value:
        return value[step]
    if best := _BEST.fullmatch(step):
        return _best(value, best[2], row, largest=best[1] == "max")
    if isinstance(value, list) and _INDEX.fullmatch(step):
        return value[int(step)] if -len(value) <= int(step) < len(value) else None
    return None


def _best(value: Any, key: str, row: Mapping[str, Any], *, largest: bool) -> Any:
    """Item with the largest (or smallest) number under `key`; the first of equal ones.

    The numbers are in the items, in a list next to other lists (`{text: [...], score: [...]}`), or in a column.
    """
    if isinstance(value, Mapping):
        at = _place(value.get(key), largest=largest)
        held = {name: one for name, one in value.items() if isinstance(one, list)}
        return None if at is None else {name: one[at] for name, one in held.items() if at < len(one)}
    if not isinstance(value, list):
        return None
    objects = any(isinstance(one, Mapping) for one in value)
    scores = [one.get(key) for one in value if isinstance(one, Mapping)] if objects else row.get(key)
    at = _place(scores, largest=largest) if isinstance(scores, list) and len(scores) == len(value) else None
    return None if at is None else value[at]


def _place(values: object, *, largest: bool) -> int | None:
    """Place of the largest (or smallest) number in a list; None without numbers."""
    numbers = [
        (number, i)
        for i, one in enumerate(values if isinstance(values, list) else ())
        if (number := _number(one)) is not None
    ]
    if not numbers:
        return None
    return (max(numbers, key=lambda one: (one[0], -one[1])) if largest else min(numbers))[1]


def _number(value: object) -> float | None:
    """Number of a score, also as text; None for anything else and for NaN."""
    try:
        found = float(value) if isinstance(value, (str, int, float)) else float("nan")
    except (ValueError, OverflowError):
        return None
    return found if found == found else None


def with_best(row: Mapping[str, Any], path: str) -> str:
    """The path with the first item of a list replaced by the best one, where scores tell it; else unchanged."""
    steps = path.split(".")
    for i, step in enumerate(steps):
        if step != "0" or not i:
            continue
        held, before = follow(row, steps[:i], row), follow(row, steps[: i - 1], row)
        if key := _score_of(held):
            return ".".join([*steps[:i], key, *steps[i + 1 :]])
        if isinstance(held, list) and isinstance(before, Mapping) and (key := _list_score(before, len(held))):
            inside = [*steps[: i - 1], key, steps[i - 1]] if i > 1 else [steps[0], key]
            return ".".join([*inside, *steps[i + 1 :]])
    return path


def best_steps(path: str) -> list[tuple[str, str, bool]]:
    """Every step of a path that picks the best item: the list's path, the key, and whether the largest is best."""
    steps = path.split(".")
    found = [(".".join(steps[:i]), _BEST.fullmatch(step)) for i, step in enumerate(steps)]
    return [(before, one[2], one[1] == "max") for before, one in found if one]


def _score_of(value: object) -> str:
    """Step that picks the best of two or more objects by a number in each; "" without such a number."""
    if not isinstance(value, list) or not value or not all(isinstance(one, Mapping) for one in value):
        return ""
    keys = [name for name in value[0] if all(_number(one.get(name)) is not None for one in value)]
    return _best_key(keys)


def _list_score(value: Mapping[str, Any], count: int) -> str:
    """Step that picks the best of `count` items by a list of numbers next to them; "" without such a list."""
    keys = [
        name
        for name, one in value.items()
        if isinstance(one, list) and len(one) == count and all(_number(item) is not None for item in one)
    ]
    return _best_key(keys)


def _best_key(names: Sequence[str]) -> str:
    found = [name for name in names if "." not in name and (name_words(name) or [""])[-1] in _SCORES]
    found.sort(key=lambda name: "overall" not in name_words(name))
    if not found:
        return ""
    return f"{'min' if 'rank' in name_words(found[0]) else 'max'}_by_{found[0]}"
