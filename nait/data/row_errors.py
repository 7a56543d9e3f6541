"""A raw row, and what can be wrong with one.

A reader finds faults (a line that is not JSON), a format finds others (a row without an answer). Neither knows
the other's half of a good message, the place in the file. So both raise a `RowError`, and whoever holds the
source turns it into a `DataError` that names file, row, field and mend, or counts it by its reason.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from nait.core.errors import DataError
from nait.data.columns.nested_texts import MAX_NAMES, best_text_path

Row = dict[str, Any]

SHOWN_NAMES = MAX_NAMES
_SHOWN_CHARACTERS = 60
_LONGEST_MEND = 1500
_KEYS = re.compile(r"\bdata\.(?=(?:turns|columns|id_column|max_row_mb|encoding|field|separator)=)")


class Place(NamedTuple):
    """Where a row is: its 0-based number in the source, and the words for its place in the file."""

    row: int
    file: str
    form: str
    number: int

    def __str__(self) -> str:
        return f"{self.file} {self.spot}"

    @property
    def spot(self) -> str:
        """The place in the file, without the file: "line 8"."""
        return self.form.format(self.number)


@dataclass(frozen=True)
class Unreadable:
    """A value that its file holds and Python cannot: what is wrong with it, and its text as near as can be."""

    what: str
    text: str


class RowError(Exception):
    """One row that cannot be used.

    `what` says nothing of the row itself, so that equal faults are counted together; what is special to it
    is in `at`, the place inside the column ("[2].content"), and in `mend`, which names keys as those of `data`.
    """

    def __init__(self, what: str, *, column: str = "", at: str = "", mend: str) -> None:
        self.what = what
        self.column = column
        self.at = at
        self.mend = mend if len(mend) <= _LONGEST_MEND else mend[:_LONGEST_MEND] + "..."
        super().__init__(what, column, at, mend)

    @property
    def reason(self) -> str:
        """What is counted when such rows are left out."""
        return f"{shown(self.column)} {self.what}" if self.column else f"the row {self.what}"

    @property
    def field(self) -> str:
        """The column and the place in it, in words; "" where the fault is the whole row's."""
        return f"field {shown(self.column + self.at)}" if self.column else ""

    def mend_in(self, group: str) -> str:
        """The mend; the keys that it names are those of this config group, and leaving rows out is one more way."""
        joint = " Or " if self.mend.endswith((".", "?", "!")) else ", or "
        return _KEYS.sub(f"{group}.", self.mend) + joint + f"set {group}.on_bad=skip"

    def at_place(self, place: object, *, group: str = "") -> DataError:
        """The error for the user: this fault at this place. `group`: the config group whose keys are named."""
        where = f"{place}, {self.field}" if self.field else str(place)
        return DataError(self.what, where=where, mend=self.mend_in(group) if group else self.mend)


# Told of a row's place and its fault: raises, or counts the row and returns.
OnBad = Callable[[Place, RowError], None]


def shown(name: object) -> str:
    """A name in quotes, short enough for a message."""
    text = str(name)
    return f"'{text[:_SHOWN_CHARACTERS]}...'" if len(text) > _SHOWN_CHARACTERS else f"'{text}'"


def value_at(row: Mapping[str, Any], column: str | None) -> Any:
    """The value in a column; of "a.b.0", where there is no such column, the part of column a. None: not there."""
    if column is None:
        return None
    if column in row:
        return row[column]
    found: Any = row
    for step in column.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isascii() and step.isdigit() and len(step) < 10:
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return None
    return found


def has_column(row: Mapping[str, Any], column: str) -> bool:
    """Whether the row has this column, or the part of a column that "a.b.0" names."""
    return column in row or ("." in column and value_at(row, column) is not None)


def required_text(row: Row, column: str) -> str:
    """The text in a column that every row must have. It may be empty. Raises: RowError."""
    return checked_text(value_at(row, column), column)


def optional_text(row: Row, column: str | None) -> str:
    """The text in a column, "" where there is none. Raises: RowError when it holds something else."""
    value = value_at(row, column) if column else None
    return "" if is_missing(value) else checked_text(value, column or "")


def checked_text(value: object, column: str, at: str = "") -> str:
    """`value`, which is text that UTF-8 can hold. Raises: RowError."""
    if is_missing(value):
        raise RowError("is missing", column=column, at=at, mend="Give every row a text there")
    if isinstance(value, Unreadable):
        raise RowError(value.what, column=column, at=at, mend="Write the row again from its source")
    if not isinstance(value, str):
        raise RowError(f"is {kind(value)}, not text", column=column, at=at, mend=_as_text(value, column, at))
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # A lone half of a surrogate pair, which JSON can spell ("\\ud83d") but no file or hash can hold.
        raise RowError(
            "holds half a character",
            column=column,
            at=at,
            mend=f"Correct the unpaired surrogate at character {error.start}",
        ) from None
    return value


def _as_text(value: object, column: str, at: str) -> str:
    """How a value that is not text becomes one: a part of a list or an object can be named."""
    path = best_text_path(value)
    if path is None or at:
        return "Write it as text"
    several = isinstance(value, list) and len(value) > 1 and path.startswith(".0")
    told = (
        f", which is the first of {len(value):,} items alone" if isinstance(value, list) and several else ""
    )
    return f"Write it as text, or name a part of it by its path, such as {shown(column + path)}{told}"


def kind(value: object) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, Unreadable):
        return "a value that cannot be read"
    names = {
        str: "text",
        bytes: "bytes",
        int: "a number",
        float: "a number",
        list: "a list",
        dict: "an object",
    }
    return names.get(type(value), f"a {type(value).__name__}")


def is_missing(value: object) -> bool:
    """Whether it is null, or NaN, which pandas writes in its place."""
    return value is None or value != value


def is_empty(value: object) -> bool:
    """Whether a value holds nothing: null, blank text, an empty list or object, or such as JSON text."""
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    return is_missing(value) or (isinstance(value, (list, dict)) and not value)
