"""Markdown with all text escaped.

Names come from the user and texts from the pool, so both may contain Markdown or HTML markup.
"""

from __future__ import annotations

from collections.abc import Sequence

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
_ESCAPED = {"|": "\\|", "`": "\\`", "*": "\\*", "~": "\\~"}
"""A backslash is written as an entity: it would otherwise cancel the escape of the next character."""
_LETTERS = str.maketrans({**_ENTITIES, **_ESCAPED})


def escaped(text: str) -> str:
    """The text on one line, without effective markup, links or cell borders."""
    one_line = " ".join(text.split())
    return one_line.translate(_LETTERS).replace("](", "]\\(").replace("__", "\\_\\_")


def code(text: str) -> str:
    """The text as inline code; a backtick, which would end it, becomes an apostrophe."""
    one_line = " ".join(text.split()).replace("|", "\\|")
    return f"`{one_line.replace('`', chr(39))}`"


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
