"""A raw row, and what can be wrong with one.

A reader finds faults (a line that is no JSON), a format finds others (a row without an answer). Neither knows
the other's half of a good message, the place in the file. So both raise a `RowError`, and whoever holds the
source turns it into a `DataError` that names file, row, field and mend, or counts it by its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nait.core.errors import DataError

Row = dict[str, Any]


class RowError(Exception):
    """One row that cannot be used.

    `what` says nothing of the row itself, so that equal faults are counted together; what is special to it
    stands in `at`, the place inside the column ("[2].content"), and in `mend`.
    """

    def __init__(self, what: str, *, column: str = "", at: str = "", mend: str) -> None:
        self.what = what
        self.column = column
        self.at = at
        self.mend = mend
        super().__init__(what, column, at, mend)

    @property
    def reason(self) -> str:
        """What is counted when such rows are left out."""
        return f"'{self.column}' {self.what}" if self.column else f"the row {self.what}"

    def at_place(self, place: str, *, otherwise: str = "") -> DataError:
        """The error for the user: this fault at this place, with another way out added to the mend."""
        where = f"{place}, field '{self.column}{self.at}'" if self.column else place
        joint = " Or " if self.mend.endswith((".", "?")) else ", or "
        return DataError(self.what, where=where, mend=self.mend + (joint + otherwise if otherwise else ""))


# Told of a row's number and its fault: raises, or counts the row and returns.
OnBad = Callable[[int, RowError], None]


def required_text(row: Row, column: str) -> str:
    """The text in a column that every row must have. It may be empty. Raises: RowError."""
    return checked_text(row.get(column), column)


def optional_text(row: Row, column: str | None) -> str:
    """The text in a column, "" where there is none. Raises: RowError when it holds something else."""
    value = row.get(column) if column else None
    return "" if value is None else checked_text(value, column or "")


def checked_text(value: object, column: str, at: str = "") -> str:
    """`value`, which is text that UTF-8 can hold. Raises: RowError."""
    if value is None:
        raise RowError("is missing", column=column, at=at, mend="Give every row a text there")
    if not isinstance(value, str):
        raise RowError(f"is {kind(value)}, not text", column=column, at=at, mend="Write it as text")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # A lone half of a surrogate pair, which JSON can spell ("\\ud83d") but no file or hash can hold.
        raise RowError(
            "holds half a character",
            column=column,
            at=at,
            mend=f"Mend the unpaired surrogate at character {error.start}",
        ) from None
    return value


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    names = {str: "text", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), f"a {type(value).__name__}")
