"""YAML from elsewhere, and repeated keys in it and in overrides, of which parsers silently keep only the last."""

from __future__ import annotations

from typing import Any

from nait.core.errors import ConfigError

OPEN, CLOSED = "{[(", "}])"
MOST_PARTS = 1_000_000
"""The most keys and values of a YAML file with its aliases written out."""


def yaml_of(text: str, yaml: Any) -> Any:
    """The content of a YAML document, in plain types. `yaml`: the library.

    Raises: YAMLError, also for aliases that repeat its parts too often, a deep nesting, and a value of another type
    than its form says.
    """
    try:
        if written_out(yaml.compose(text, Loader=yaml.SafeLoader)) > MOST_PARTS:
            raise yaml.YAMLError("aliases repeat its parts too often")
        return yaml.safe_load(text)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
        raise yaml.YAMLError(str(error)) from error


def repeated_key_error(key: str, where: str) -> ConfigError:
    """The error for a key that one mapping has twice."""
    fix = "Give each key once: only the last value would be used."
    return ConfigError(f"'{key}' is given twice", where=where, fix=fix)


def repeated_in_text(text: str) -> str | None:
    """The first repeated key in an override's value, such as `a` in `{a: x, a: y}`; None when there is none."""
    levels: list[tuple[str, set[str]]] = []
    start, quote = 0, ""
    for place, letter in enumerate(text):
        if quote or letter in "'\"":
            quote = "" if letter == quote else quote or letter
        elif letter in OPEN:
            kind = "" if text[max(0, place - 1)] == "$" else letter
            levels.append((kind, set()))
            start = place + 1
        elif letter in CLOSED and levels:
            levels.pop()
            start = -1
        elif letter == ",":
            start = place + 1
        elif letter == ":" and start >= 0 and levels and levels[-1][0] == "{":
            key = text[start:place].strip().strip("'\"")
            if key in levels[-1][1]:
                return key
            levels[-1][1].add(key)
            start = -1
    return None


def repeated_in_yaml(node: Any) -> tuple[str, int] | None:
    """The first repeated key in a composed YAML document and its line, from 1; None when there is none.

    A key from a merge (`<<`) is not a repetition: the mapping's own key overrides it. A part that aliases repeat is
    searched once.
    """
    return _repeated(node, set())


def _repeated(node: Any, done: set[int]) -> tuple[str, int] | None:
    if id(node) in done:
        return None
    done.add(id(node))
    seen: set[str] = set()
    for part in node.value if isinstance(getattr(node, "value", None), list) else ():
        key, values = (part[0], part) if isinstance(part, tuple) else (None, (part,))
        name = str(key.value) if key is not None and isinstance(key.value, str) else ""
        if key is not None and name and name in seen:
            return name, key.start_mark.line + 1
        seen.add(name)
        for value in values:
            if found := _repeated(value, done):
                return found
    return None


def written_out(node: Any) -> int:
    """The number of parts of a composed YAML document with its aliases written out."""
    return _written_out(node, {})


def _written_out(node: Any, known: dict[int, int]) -> int:
    if id(node) not in known:
        known[id(node)] = 1  # for an alias within itself
        parts = node.value if isinstance(getattr(node, "value", None), list) else ()
        flat = (value for part in parts for value in (part if isinstance(part, tuple) else (part,)))
        known[id(node)] = 1 + sum(_written_out(value, known) for value in flat)
    return known[id(node)]
