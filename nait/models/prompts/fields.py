"""Patterns: text with fields such as {instruction}, and which fields of a row a text template shows.

A field's own text is never read as a pattern.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from nait.core.errors import ConfigError

PROMPT = ("instruction", "input", "user")
SYSTEM = ("system",)
_ANSWERS = ("output", "response", "answer", "completion")
_BRACED = re.compile(r"(?<![\\\w{])\{\s*(\w+)\s*\}(?!\})")
"""A word in braces; of `\\boxed{answer}` and of `{{word}}`, none."""
_ALIKE = 0.8


def filled(pattern: str, fields: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """The pieces of a pattern in order: its own text, and (True) the text of a field."""
    rest = pattern
    while rest:
        places = [(rest.find("{" + name + "}"), name) for name in fields]
        found = min((place for place in places if place[0] >= 0), default=None)
        if found is None:
            yield rest, False
            return
        at, name = found
        yield rest[:at], False
        yield fields[name], True
        rest = rest[at + len(name) + 2 :]


def shows(pattern: str, *names: str) -> bool:
    """Whether a pattern has one of these fields."""
    return any("{" + name + "}" in pattern for name in names)


def check_names(pattern: str, known: Sequence[str], *, key: str) -> None:
    """Check that what looks like a field is one here: another would be the same literal text in every row.

    Raises: ConfigError for a field of another key, a misspelt one, or the answer's.
    """
    for found in _BRACED.finditer(pattern):
        name = found.group(1)
        if found.group() in {"{" + field + "}" for field in known}:
            continue
        mend = _mend(name, known)
        if mend:
            raise ConfigError(f"{found.group()} is not a field here", where=f"template.{key}", mend=mend)


def _mend(name: str, known: Sequence[str]) -> str:
    """What to write in place of a word in braces; "" where it is a literal text's own."""
    word = name.casefold()
    if word in _ANSWERS:
        return "Remove it: the answer follows the prompt, and template.suffix follows the answer."
    near = difflib.get_close_matches(word, known, n=1, cutoff=_ALIKE)
    if near:
        return f"Write {{{near[0]}}}."
    others = difflib.get_close_matches(word, [*PROMPT, *SYSTEM], n=1, cutoff=_ALIKE)
    if others == ["system"]:
        return "The system message has a key of its own: write {system} in template.system."
    if others:
        return f"Write {{{others[0]}}} in template.prompt."
    return ""
