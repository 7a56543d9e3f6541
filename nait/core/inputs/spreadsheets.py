"""Cells of CSV files that a spreadsheet would run as formulas."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")
STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The first characters of a formula, also in full width."""


def inert(cell: T) -> T | str:
    """The cell, with an apostrophe before a text that a spreadsheet would take for a formula.

    Spreadsheets hide the apostrophe and show the rest as text. Numbers stay as they are, also those in texts.
    """
    if not isinstance(cell, str) or not cell.lstrip(" \n").startswith(STARTS) or _is_number(cell):
        return cell
    return f"'{cell}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
