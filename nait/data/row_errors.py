"""Row faults, their places, and access to the values of raw rows.

Readers and formats raise `RowError` without knowing the place in the file. The caller that iterates over the source
converts it to a `DataError` with file, row, field and fix, or counts it by its reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from nait.core.errors import DataError
from nait.data.columns.nested_texts import MAX_NAMES, best_text_path
from nait.data.columns.path_steps import follow, with_best

Row = dict[str, Any]

SHOWN_NAMES = MAX_NAMES
_MAX_NAME_CHARACTERS = 60
_MAX_FIX = 1500
_DATA_KEYS = re.compile(
    r"\bdata\.(?=(?:turns|columns|id_column|max_row_mb|first_index|encoding|field|separator)=)"
)


class Place(NamedTuple):
    """Place of a row: its 0-based number in the source, and the file with a line or row number."""

    row: int
    file: str
    form: str
    number: int

    def __str__(self) -> str:
        return f"{self.file} {self.spot}"

    @property
    def spot(self) -> str:
        """Place within the file: "line 8"."""
        return self.form.format(self.number)


@dataclass(frozen=True)
class Unreadable:
    """A value that Python cannot represent: the fault, and an approximation of its text."""

    what: str
    text: str


class RowError(Exception):
    """One row that cannot be used.

    `what` is the same for equal faults, so that they are counted together. Details of the row are in `at`, the place
    inside the column ("[2].content"), and in `fix`, which names config keys of the group `data`. `path` leads to a
    text inside a value that is not text.
    """

    def __init__(self, what: str, *, column: str = "", at: str = "", fix: str, path: str = "") -> None:
        self.what = what
        self.column = column
        self.at = at
        self.path = path
        self.fix = fix if len(fix) <= _MAX_FIX else fix[:_MAX_FIX] + "..."
        super().__init__(what, column, at, fix)

    @property
    def reason(self) -> str:
        """Reason under which skipped rows are counted."""
        return f"{quoted(self.column)} {self.what}" if self.column else f"the row {self.what}"

    @property
    def field(self) -> str:
        """Column and place in it, as text; "" for a fault of the whole row."""
        return f"field {quoted(self.column + self.at)}" if self.column else ""

    def fix_in(self, group: str) -> str:
        """The fix with the keys of this config group, and the option to skip such rows."""
        joint = " Or " if self.fix.endswith((".", "?", "!")) else ", or "
        return _DATA_KEYS.sub(f"{group}.", self.fix) + joint + f"set {group}.on_bad=skip"

    def at_place(self, place: object, *, group: str = "") -> DataError:
        """Error for this fault at this place. `group`: the config group whose keys are named."""
        where = f"{place}, {self.field}" if self.field else str(place)
        return DataError(self.what, where=where, fix=self.fix_in(group) if group else self.fix)


def other_cells(columns: int, cells: int, *, fix: str = "") -> RowError:
    """The fault of a table's row with more or fewer cells than columns. `fix`: the end of its advice."""
    return RowError(
        "has more or fewer cells than the header", fix=f"Give it {columns} cells, not {cells}{fix}"
    )


# Callback for an invalid row: raises, or counts the row and returns.
OnBad = Callable[[Place, RowError], None]


def many_faults(faults: Sequence[tuple[Place, RowError]], bad: int, *, source: str, group: str) -> DataError:
    """Error for `bad` invalid rows, with place, field and fault of the first ones."""
    lines = []
    for place, error in faults:
        spot = place.spot if place.file == source else str(place)
        lines.append(f"\n  {', '.join(part for part in (spot, error.field) if part)}: {error.what}")
    more = f"\n  and {bad - len(faults):,} more" if bad > len(faults) else ""
    return DataError(
        f"{bad:,} rows cannot be used:{''.join(lines)}{more}",
        where=source,
        fix=f"For the first: {faults[0][1].fix_in(group)}.",
    )


def format_counts(skipped: Counter[str]) -> str:
    """Reasons and their numbers of rows, most frequent first."""
    return ", ".join(f"{count:,} rows ({reason})" for reason, count in skipped.most_common(SHOWN_NAMES))


def quoted(name: object) -> str:
    """Name in quotes, shortened for messages."""
    text = str(name)
    return f"'{text[:_MAX_NAME_CHARACTERS]}...'" if len(text) > _MAX_NAME_CHARACTERS else f"'{text}'"


def value_at(row: Mapping[str, Any], column: str | None) -> Any:
    """Value of a column or, for "a.b.0", of a path into column a; None when it does not exist.

    A step of a path is a key, an index (-1 is the last item), `*` (a list of every item) or `max_by_KEY`, the item
    with the largest number under KEY (`min_by_KEY`: the smallest).
    """
    if column is None:
        return None
    if column in row:
        return row[column]
    found: Any = row
    steps = column.split(".")
    if steps[0] not in row:  # a column whose name has dots: "corrected.responses.0"
        known = next((i for i in range(len(steps) - 1, 1, -1) if ".".join(steps[:i]) in row), 0)
        if known:
            found, steps = row[".".join(steps[:known])], steps[known:]
    return follow(found, steps, row)


def has_column(row: Mapping[str, Any], column: str) -> bool:
    """Whether the row has this column, or the value at a path such as "a.b.0"."""
    return column in row or ("." in column and value_at(row, column) is not None)


def required_text(row: Row, column: str) -> str:
    """Text of a required column, possibly empty. Raises: RowError."""
    return checked_text(value_at(row, column), column)


def optional_text(row: Row, column: str | None) -> str:
    """Text of an optional column, "" when missing. Raises: RowError for a value that is not text."""
    value = value_at(row, column) if column else None
    return "" if is_missing(value) else checked_text(value, column or "")


def checked_text(value: object, column: str, at: str = "") -> str:
    """`value`, validated as text that UTF-8 can encode. Raises: RowError."""
    if is_missing(value):
        raise RowError("is missing", column=column, at=at, fix="Give every row a text in this field")
    if isinstance(value, Unreadable):
        raise RowError(value.what, column=column, at=at, fix="Write the row again from its source")
    if not isinstance(value, str):
        path = "" if at else _text_path(value, column)
        raise RowError(
            f"is {kind(value)}, not text", column=column, at=at, fix=_as_text(value, path), path=path
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        # A lone surrogate: valid as a JSON escape ("\\ud83d"), not encodable in UTF-8.
        raise RowError(
            "holds an unpaired surrogate",
            column=column,
            at=at,
            fix=f"Correct the text at character {error.start}",
        ) from None
    return value


def _as_text(value: object, path: str) -> str:
    """Advice for a value that is not text. `path` leads to a text in it; "" when there is none."""
    if not path:
        return "Write it as text"
    several = isinstance(value, list) and len(value) > 1 and ".0" in path
    note = (
        f", which reads only the first of {len(value):,} items" if isinstance(value, list) and several else ""
    )
    if note and isinstance(value, list) and all(isinstance(one, str) for one in value):
        note += f" ({quoted(path[:-1] + '*')} joins them)"
    return f"Write it as text, or give the path of a text in it, such as {quoted(path)}{note}"


def _text_path(value: object, column: str) -> str:
    """Path of a text in a value, of the best one where scores tell it; "" without any."""
    path = best_text_path(value)
    return "" if path is None else column + with_best({"": value}, path)


def kind(value: object) -> str:
    """Type of a JSON value, in words."""
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
    """Whether a value is null or NaN, which pandas writes for null."""
    return value is None or value != value


def is_empty(value: object) -> bool:
    """Whether a value is empty: null, blank text, an empty list or object, or JSON text of one."""
    if isinstance(value, str):
        return value.strip() in ("", "[]", "{}", "null")
    return is_missing(value) or (isinstance(value, (list, dict)) and not value)
