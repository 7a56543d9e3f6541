"""Fields of text templates: fill patterns such as `{instruction}`, and check their names.

The text of a field is never parsed as a pattern.
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
"""A word in braces, except in `\\boxed{answer}` and `{{word}}`."""
_SIMILARITY = 0.8


def filled(pattern: str, fields: Mapping[str, str]) -> Iterator[tuple[str, bool]]:
    """Pieces of a filled pattern in order: (its own text, False) and (text of a field, True)."""
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
    """Check that every word in braces is a known field; otherwise it would be literal text in every row.

    Raises: ConfigError for a field of another key, a misspelt field, or the answer.
    """
    for found in _BRACED.finditer(pattern):
        name = found.group(1)
        if found.group() in {"{" + field + "}" for field in known}:
            continue
        fix = _fix(name, known)
        if fix:
            raise ConfigError(f"{found.group()} is not a field of this key", where=f"template.{key}", fix=fix)


def _fix(name: str, known: Sequence[str]) -> str:
    """Advice for an unknown word in braces; "" if it is literal text."""
    word = name.casefold()
    if word in _ANSWERS:
        return "Remove it: the answer follows the prompt, and template.suffix follows the answer."
    near = difflib.get_close_matches(word, known, n=1, cutoff=_SIMILARITY)
    if near:
        return f"Write {{{near[0]}}}."
    others = difflib.get_close_matches(word, [*PROMPT, *SYSTEM], n=1, cutoff=_SIMILARITY)
    if others == ["system"]:
        return "The system message has its own key: write {system} in template.system."
    if others:
        return f"Write {{{others[0]}}} in template.prompt."
    return ""
