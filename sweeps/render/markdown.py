"""Markdown with all text escaped.

Names come from the user and texts from the pool, so both may contain Markdown or HTML markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nait.core.inputs.visible_text import visible

FAILED = "Failed jobs"
"""The heading of the jobs of a sweep that have no result."""
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
_ESCAPED = {"|": "\\|", "`": "\\`", "*": "\\*", "~": "\\~"}
"""A backslash is written as an entity: it would otherwise cancel the escape of the next character."""
_LETTERS = str.maketrans({**_ENTITIES, **_ESCAPED})

_MARKS = {ord(mark): f"&#{ord(mark)};" for mark in ":.@"}
_ADDRESS = re.compile(r"\b(?:[a-zA-Z][\w+.-]*://|www\.)|@")
"""What some renderers turn into a link or a mention without any mark."""


def escaped(text: str) -> str:
    """The text on one line, without effective markup, links or cell borders."""
    one_line = visible(" ".join(text.split())).translate(_LETTERS)
    one_line = re.sub(r"\](?=[(\[:])", r"]\\", one_line).replace("__", "\\_\\_")
    return _ADDRESS.sub(lambda found: found[0].translate(_MARKS), one_line)


def code(text: str) -> str:
    """The text as inline code; a backtick, which would end it, becomes an apostrophe."""
    one_line = visible(" ".join(text.split())).replace("|", "\\|")
    return f"`{one_line.replace('`', chr(39))}`"


def failed_section(failed: Sequence[str]) -> list[str]:
    """A section with these lines on jobs without a result; none without them."""
    return [f"## {FAILED}\n\n" + "\n".join(f"- {escaped(line)}" for line in failed)] if failed else []


def table(header: Sequence[str], body: Sequence[Sequence[str]], *, copied: bool = False) -> str:
    """A table of these texts. `copied`: the last column is inline code."""
    shown = [[escaped(cell) for cell in row] for row in (header, *body)]
    if copied:
        shown[1:] = [[*row[:-1], code(whole[-1])] for row, whole in zip(shown[1:], body, strict=True)]
    widths = [max(len(row[k]) for row in shown) for k in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in shown
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
