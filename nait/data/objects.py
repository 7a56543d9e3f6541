"""Rows inside one JSON object: {"data": [...]}, pandas' columns, index and split, or a row by itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nait.core.errors import ConfigError, DataError
from nait.data.rows import SHOWN_NAMES, Row, kind, shown, value_at
from nait.data.words import SPEAKERS


def rows_of(value: Mapping[str, Any], *, field: str | None, where: str, group: str) -> list[Any]:
    """The rows that the object holds; `field` is the path of the list they are in.

    Raises: DataError when several of its keys hold lists of rows, ConfigError for a field that holds none.
    """
    if field is not None:
        found = value_at(value, field)
        if isinstance(found, Mapping):
            return rows_of(found, field=None, where=where, group=group)
        if not isinstance(found, list):
            raise ConfigError(
                f"'{field}' holds no list of rows in {where}",
                where=f"{group}.field",
                mend=f"It has {told(value)}.",
            )
        return found
    lists = [name for name, held in value.items() if _is_table(held)]
    if _is_split(value):
        columns = [str(name) for name in value["columns"]]
        return [
            dict(zip(columns, row, strict=False)) if isinstance(row, list) else row for row in value["data"]
        ]
    if len(lists) == 1:
        return _unwrapped(value[lists[0]])
    if len(lists) > 1:
        raise DataError(
            f"holds several lists of rows: {', '.join(shown(name) for name in lists[:SHOWN_NAMES])}",
            where=where,
            mend=f"Name one: {group}.field={lists[0]}.",
        )
    return _columns_or_row(value)


def _is_table(held: object) -> bool:
    """Whether it is a list of objects, and not one of messages."""
    if not isinstance(held, list) or not held or not all(isinstance(one, dict) for one in held[:SHOWN_NAMES]):
        return False
    return not any(speaker in held[0] for speaker in SPEAKERS)


def _is_split(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("columns"), list) and isinstance(value.get("data"), list)


def _unwrapped(rows: list[Any]) -> list[Any]:
    """The rows themselves, out of the {row_idx, row} in which the Hub's viewer hands them out."""
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


def told(value: Mapping[str, Any]) -> str:
    """The keys and what they hold, at most so many, for a message."""
    some = [f"{shown(name)} ({kind(held)})" for name, held in list(value.items())[:SHOWN_NAMES]]
    more = f" and {len(value) - SHOWN_NAMES:,} more" if len(value) > SHOWN_NAMES else ""
    return (", ".join(some) or "no column") + more
