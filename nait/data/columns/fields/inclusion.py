"""Checks of the fields that exclude a row: tools, media, and a label or weight of its answer. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from nait.data.chat.flags import read_label, read_weight
from nait.data.chat.media import NO_MEDIA, is_absent
from nait.data.row_errors import Row, RowError, kind, value_at

_UNSUPPORTED = {
    "tools": ("has tools", "Tools are not supported: remove such rows"),
    "media": ("holds an image, video or audio", NO_MEDIA),
}
_NOT_TRAINED = {"label": "marks the answer as undesirable", "weight": "marks the row as not trained"}
EXCLUDING = (*_UNSUPPORTED, *_NOT_TRAINED)
"""Fields that exclude rows: all columns with their usual names are checked, where other fields use the first."""


def check_included(row: Row, columns: Iterable[tuple[str, str]]) -> list[float]:
    """Weights of the row. `columns`: field and column of everything that may exclude it.

    Raises: RowError for tools, media, or a label or weight that excludes its answer.
    """
    weights: list[float] = []
    for name, column in columns:
        value = value_at(row, column)
        if is_absent(value):
            continue
        disable = f"or set data.columns={{{name}: null}}"
        if name in _UNSUPPORTED:
            what, fix = _UNSUPPORTED[name]
            raise RowError(what, column=column, fix=f"{fix}, {disable}")
        found = read_label(value) if name == "label" else read_weight(value)
        if found is None:
            what = f"is {kind(value)}, which is not a {name}"
            raise RowError(what, column=column, fix=f"Write 1 or 0, {disable}")
        if not found:
            raise RowError(_NOT_TRAINED[name], column=column, fix=f"Remove such rows, {disable}")
        weights.append(float(found))
    return weights
