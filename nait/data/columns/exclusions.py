"""Columns that exclude rows, judged by their values: labels that judge an answer, and encoded media. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nait.data.chat.flags import read_label, read_weight
from nait.data.chat.media import is_media_value
from nait.data.columns.layouts import Layout
from nait.data.row_errors import Row, is_empty, value_at


def without_class_labels(layout: Layout, rows: Sequence[Row]) -> Layout:
    """Layout without the `label` columns that hold a class rather than a judgement of the answer.

    A judgement is true or false, a word for one, or 1 or 0 in a row without options. A column without a value in
    these rows is kept: later rows may be judged.
    """
    if "label" in layout.assigned or layout.optional.get("label") is None:
        return layout
    options = bool(layout.option_columns or layout.optional.get("options"))
    kept = [
        column
        for column in layout.columns_of("label")
        if _are_judgements([value_at(row, column) for row in rows], options=options)
    ]
    first, further = (kept[0], tuple(kept[1:])) if kept else (None, ())
    return replace(
        layout,
        optional={**layout.optional, "label": first},
        further={**layout.further, "label": further},
    )


def _are_judgements(values: Sequence[object], *, options: bool) -> bool:
    """Whether values are judgements of an answer; `options` of the question make 0 and 1 a class."""
    held = [value for value in values if not is_empty(value)]
    if any(isinstance(value, bool) for value in held):
        return True
    if options and any(read_weight(value) is not None and not _is_word(value) for value in held):
        return False
    return all(read_label(value) is not None for value in held)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and value.strip().isalpha()


def holds_media(row: Row) -> bool:
    """Whether any column holds an encoded image, video or audio."""
    return any(isinstance(value, (dict, list)) and is_media_value(value) for value in row.values())


def with_media(layout: Layout, rows: Sequence[Row]) -> Layout:
    """Layout with the columns that hold encoded images or audio as media, whatever their names."""
    if "media" in layout.assigned:
        return layout
    used = layout.columns
    found = [
        name
        for name in dict.fromkeys(name for row in rows for name in row if name not in used)
        if any(is_media_value(row.get(name)) for row in rows)
    ]
    columns = (*layout.columns_of("media"), *found)
    if not found:
        return layout
    return replace(
        layout,
        optional={**layout.optional, "media": columns[0]},
        further={**layout.further, "media": columns[1:]},
    )
