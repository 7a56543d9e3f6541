"""Settings of a run as words of a command line, and those that a command line cannot repeat."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Presets = Callable[[str, str], Mapping[str, Any]]
"""(group, option) -> the option's own settings; none where the option is not known."""
OPTION = re.compile(r"\w[\w.-]*(/\w[\w.-]*)*")
KEY = re.compile(r"\w[\w.-]*")
PLAIN = re.compile(r"[^\W\d]\w*")
LOCAL = re.compile(r"[/~]|\.{1,2}[/\\]|[A-Za-z]:[/\\]|\\\\")
"""The beginning of a path of this machine."""
NOT_SHOWN = ("path", "paths")
"""Last parts of settings that hold paths of this machine."""
IMPLIED = ("name", "_target_")
"""Last parts of settings that come with the option."""
LOCAL_PATH, UNKNOWN = "a local file or folder", "not recorded"
"""What is said of a setting instead of its value."""
RESERVED = ("true", "false", "null", "inf", "nan")
ADDED = ".end_token"
"""A setting that only some options of the selector have."""
LONGEST = 60
"""The most characters of a text that a command repeats."""


@dataclass(frozen=True)
class Words:
    """The words that choose an option and its settings; `lacking`: setting that no word repeats -> its value."""

    words: tuple[str, ...] = ()
    lacking: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, other: Words) -> Words:
        return Words((*self.words, *other.words), {**self.lacking, **other.lacking})


def words_of(config: Mapping[str, Any], group: str, preset: Mapping[str, Any] | None = None) -> Words:
    """The words for a group of a run's config. Settings with the same value in `preset` are left out."""
    option, settings = config.get("options", {}).get(group), config.get(group)
    if not isinstance(option, str) or not OPTION.fullmatch(option):
        return Words((), {group: UNKNOWN if option is None else _json(option)})
    known = dict(leaves(preset or {}, group))
    words, lacking = [f"{group}={option}"], {}
    for name, value in leaves(settings, group) if isinstance(settings, Mapping) else ():
        if name.rsplit(".", 1)[-1] in IMPLIED or (name in known and known[name] == value):
            continue
        text = _written(value) if KEY.fullmatch(name) else None
        if is_local(name, value) or text is None:
            lacking[name] = LOCAL_PATH if is_local(name, value) else _json(value)
        else:
            words.append(f"{'++' if name.endswith(ADDED) else ''}{name}={text}")
    return Words(tuple(words), lacking)


def leaves(node: Any, at: str) -> Iterable[tuple[str, Any]]:
    """The settings below a node, each with its dotted name."""
    if not isinstance(node, Mapping):
        return [(at, node)]
    return [leaf for key, value in node.items() for leaf in leaves(value, f"{at}.{key}")]


def is_local(name: str, value: Any) -> bool:
    """Whether a setting holds a path of this machine, by its name or by its text."""
    texts = value if isinstance(value, list) else [value]
    return name.rsplit(".", 1)[-1] in NOT_SHOWN or any(
        LOCAL.match(text) is not None for text in texts if isinstance(text, str)
    )


def _written(value: Any) -> str | None:
    """A value in the grammar of the command line; None for one that it cannot repeat on a line."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list):
        parts = [_written(one) for one in value]
        return None if None in parts else f"[{', '.join(filter(None, parts))}]"
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        return None
    if PLAIN.fullmatch(value) and value.isascii() and value.casefold() not in RESERVED:
        return value
    return None if any(mark in value for mark in ("\\", '"', "${")) else f'"{value}"'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
