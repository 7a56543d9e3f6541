"""Rows with several answers and a column that says which one is preferred. Pure."""

from __future__ import annotations

import re

from nait.data.columns.nested_texts import name_words
from nait.data.row_errors import Row, quoted

_WORDS = {
    "better",
    "winner",
    "preference",
    "preferred",
    "choice",
    "safer",
    "score",
    "label",
    "rank",
    "reward",
}
_END = re.compile(r"[0-9]$")


def preference(row: Row, column: str) -> str:
    """Sentence on the columns that say which of several answers is preferred; "" without one.

    `column`: the answer that a mapping reads. When an index from 0 chooses between columns with numbers from 0, the
    sentence has a `jq` filter that writes the chosen answer.
    """
    found = [name for name, one in row.items() if _WORDS & {*name_words(name)} and _is_verdict(one)]
    if not found:
        return ""
    chosen = next(
        (name for name in found if {"better", "winner", "choice", "preferred"} & {*name_words(name)}), ""
    )
    filter = _filter(row, column, chosen)
    such_as = f", such as with jq -c '{filter}'" if filter else ""
    names = " and ".join(map(quoted, found[:2]))
    return f"{names} may tell which answer is preferred: write that one as 'completion'{such_as}. "


def _is_verdict(value: object) -> bool:
    return isinstance(value, (str, int, float, bool)) or (
        isinstance(value, list) and bool(value) and all(isinstance(one, (int, float)) for one in value)
    )


def _filter(row: Row, column: str, chosen: str) -> str:
    """Filter that writes the answer at the index in `chosen`; "" unless the answers' columns count from 0."""
    stem = _END.sub("", column)
    answers = [f"{stem}{i}" for i in range(10) if f"{stem}{i}" in row]
    index = row.get(chosen)
    if not column.endswith("0") or len(answers) < 2 or isinstance(index, bool) or not isinstance(index, int):
        return ""
    if not 0 <= index < len(answers) or not all(name.isidentifier() for name in (*answers, chosen)):
        return ""
    listed = ", ".join(f".{name}" for name in answers)
    return f". + {{completion: [{listed}][.{chosen}]}}"
