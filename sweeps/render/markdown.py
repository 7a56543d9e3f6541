"""Markdown: text that stays text, and tables whose cells stay their own.

Names are the user's and texts the pool's: they may hold anything that Markdown or HTML reads as markup.
"""

from __future__ import annotations

from collections.abc import Sequence

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\\": "&#92;"}
_ESCAPED = {"|": "\\|", "`": "\\`", "*": "\\*", "~": "\\~"}
"""A backslash of the text's own would undo the one before a bar: it is written as an entity."""
_LETTERS = str.maketrans({**_ENTITIES, **_ESCAPED})


def escaped(text: str) -> str:
    """The text on one line: no markup, no links, no cells of its own."""
    one_line = " ".join(text.split())
    return one_line.translate(_LETTERS).replace("](", "]\\(").replace("__", "\\_\\_")


def code(text: str) -> str:
    """The text letter by letter, to be copied; a backtick, which would end it, is an apostrophe."""
    one_line = " ".join(text.split()).replace("|", "\\|")
    return f"`{one_line.replace('`', chr(39))}`"


def table(header: Sequence[str], body: Sequence[Sequence[str]], *, copied: bool = False) -> str:
    """A table of these texts. `copied`: the last column is code."""
    shown = [[escaped(cell) for cell in row] for row in (header, *body)]
    if copied:
        shown[1:] = [[*row[:-1], code(whole[-1])] for row, whole in zip(shown[1:], body, strict=True)]
    widths = [max(len(row[k]) for row in shown) for k in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |" for row in shown
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])
