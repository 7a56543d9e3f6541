"""Extraction of rows from one JSON object: {"data": [...]}, pandas exports, or a single row. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from nait.core.errors import ConfigError, DataError
from nait.data.field_names import INPUTS, SPEAKERS, SYSTEMS
from nait.data.row_errors import SHOWN_NAMES, Row, is_empty, kind, other_cells, quoted, value_at

_SHARED = {name.casefold() for name in ("definition", "instruction", "prompt", *SYSTEMS, *INPUTS)} - {"input"}
"""Keys of texts that apply to every row of the object."""
_COLUMN_NAMES, _TABLE_ROWS = ("columns", "header", "headers", "fields"), ("data", "rows", "values")


def rows_of(value: Mapping[str, Any], *, field: str | None, where: str, group: str) -> list[Any]:
    """Rows of the object, or their faults; `field` is the path of the list that holds them.

    Raises: DataError when several of its keys hold lists of rows, ConfigError for a field without a list.
    """
    if field is not None:
        found = value_at(value, field)
        if isinstance(found, Mapping):
            return rows_of(found, field=None, where=where, group=group)
        if not isinstance(found, list):
            raise ConfigError(
                f"'{field}' is not a list of rows in {where}",
                where=f"{group}.field",
                fix=f"It has {describe_keys(value)}.",
            )
        return _unwrapped(found)
    lists = [name for name, held in value.items() if _is_table(held)]
    split = _split_names(value)
    if split:
        columns = [str(name) for name in value[split[0]]]
        return [_named_cells(columns, row) for row in value[split[1]]]
    if not lists:
        lists = [name for name, held in value.items() if _holds_conversations(held)]
    if lists:
        return _one_list(value, sorted(lists, key=lambda name: -len(value[name])), where=where, group=group)
    return _columns_or_row(value)


def _named_cells(columns: list[str], row: object) -> object:
    """Row of a table whose rows are lists of cells, or its fault; anything else unchanged."""
    if not isinstance(row, list):
        return row
    return (
        dict(zip(columns, row, strict=True))
        if len(row) == len(columns)
        else other_cells(len(columns), len(row))
    )


def _one_list(value: Mapping[str, Any], lists: list[str], *, where: str, group: str) -> list[Any]:
    """Rows of the only list. Raises: DataError for several lists, and for a shared text next to the list."""
    shared = [name for name, held in value.items() if name.casefold() in _SHARED and not is_empty(held)]
    note = ""
    if shared:
        note = f" This ignores {quoted(shared[0])}: copy it into each row if it applies to them."
    named = f"{group}.field={lists[0]}"
    fix = f"{named if lists[0].isidentifier() else repr(named)}.{note}"
    if len(lists) > 1:
        listed = ", ".join(quoted(name) for name in lists[:SHOWN_NAMES])
        raise DataError(f"holds several lists of rows: {listed}", where=where, fix=f"Name one: {fix}")
    if shared:
        what = f"holds the text {quoted(shared[0])} next to its rows"
        raise DataError(what, where=where, fix=f"To read only the rows, set {fix}")
    return _unwrapped(value[lists[0]])


def _is_table(held: object) -> bool:
    """Whether a value is a list of objects that are not messages."""
    if not isinstance(held, list) or not held or not all(isinstance(one, dict) for one in held[:SHOWN_NAMES]):
        return False
    return not any(speaker in held[0] for speaker in SPEAKERS)


def _holds_conversations(held: object) -> bool:
    """Whether a value is a list of conversations: lists of texts (ChatterBot), or lists of messages."""
    return (
        isinstance(held, list)
        and bool(held)
        and all(isinstance(one, list) and len(one) > 1 for one in held)
        and (
            all(isinstance(text, str) for one in held for text in one)
            or all(
                isinstance(message, dict) and any(speaker in message for speaker in SPEAKERS)
                for one in held
                for message in one
            )
        )
    )


def _split_names(value: Mapping[str, Any]) -> tuple[str, str] | None:
    """Keys of the column names and the rows of a table, as written by pandas (split) and Datasette."""
    for names, rows in product(_COLUMN_NAMES, _TABLE_ROWS):
        if isinstance(value.get(names), list) and isinstance(value.get(rows), list):
            return names, rows
    return None


def _unwrapped(rows: list[Any]) -> list[Any]:
    """Rows, unwrapped from the {row_idx, row} objects of the Hub's dataset viewer.

    A conversation in a list of conversations becomes a row with the column `messages`.
    """
    if _holds_conversations(rows):
        return [{"messages": one} for one in rows]
    if all(isinstance(one.get("row"), dict) and "row_idx" in one for one in rows if isinstance(one, dict)):
        return [one["row"] if isinstance(one, dict) else one for one in rows]
    return rows


def _columns_or_row(value: Mapping[str, Any]) -> list[Row]:
    held = list(value.values())
    if held and all(isinstance(one, dict) for one in held):
        inner = held[0].keys()
        if inner and all(str(key).isdigit() for key in inner):  # columns: {column: {number: value}}
            numbers = list(dict.fromkeys(key for column in held for key in column))
            return [{name: column.get(number) for name, column in value.items()} for number in numbers]
        if len(value) > 1 or next(iter(value)).isdigit():  # index: {number or name: row}
            return held
    if len(held) > 1 and all(isinstance(one, list) for one in held) and len({len(one) for one in held}) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*held, strict=True)]
    return [dict(value)]


def describe_keys(value: Mapping[str, Any]) -> str:
    """Keys and value types, for an error message; at most `SHOWN_NAMES` of them."""
    some = [f"{quoted(name)} ({kind(held)})" for name, held in list(value.items())[:SHOWN_NAMES]]
    more = f" and {len(value) - SHOWN_NAMES:,} more" if len(value) > SHOWN_NAMES else ""
    return (", ".join(some) or "no column") + more
