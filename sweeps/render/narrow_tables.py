"""Tables for the terminal: one that is wider than the terminal continues below, with its first columns repeated."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

from nait.core.inputs.visible_text import visible_line

GAP = 2
"""Spaces between two columns."""
PADDING = 2
"""Spaces that tabulate adds to a title."""
USUAL = (100, 24)
"""Columns and lines where the terminal's size is unknown, as in a file or a pipe."""


def terminal_table(
    header: Sequence[str],
    body: Sequence[Sequence[object]],
    form: str,
    *,
    repeated: int = 1,
    width: int | None = None,
) -> str:
    """A table of at most `width` characters a line (default: the terminal's), in a tabulate format.

    Columns that do not fit follow in further tables, each of which begins with the first `repeated` columns. A single
    column that is too wide for a line is not cut.
    """
    from tabulate import tabulate

    rows = [[visible_line(str(cell)) for cell in row] for row in (header, *body)]
    parts = blocks(widths(rows), repeated, width or shutil.get_terminal_size(USUAL).columns)
    return "\n\n".join(
        str(tabulate([[row[i] for i in part] for row in rows[1:]], headers=[rows[0][i] for i in part],
                     tablefmt=form, disable_numparse=True))
        for part in parts
    )  # fmt: skip


def widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """The characters of each column's longest cell; tabulate pads a title, the first row, by two."""
    return [max(len(title) + PADDING, *map(len, cells), 0) for title, *cells in zip(*rows, strict=True)]


def blocks(sizes: Sequence[int], repeated: int, width: int) -> list[list[int]]:
    """The columns of each table: the first `repeated`, then as many of the others as fit into `width`."""
    first = list(range(min(repeated, len(sizes))))
    taken = sum(sizes[i] + GAP for i in first)
    made, free = [[*first]], width - taken + GAP
    for column in range(len(first), len(sizes)):
        needed = sizes[column] + GAP
        if needed > free and len(made[-1]) > len(first):
            made.append([*first])
            free = width - taken + GAP
        made[-1].append(column)
        free -= needed
    return made
