"""Texts made of a row's columns: "{question}", "{answers.text.0}", "{choices:options}". Pure.

| form              | what it writes                                                         |
|-------------------|------------------------------------------------------------------------|
| `{column}`        | the text; a number as digits, a whole number without a decimal point   |
| `{path.to.0}`     | a value inside a column                                                |
| `{column:number}` | a number, or the text of one, without needless decimals: "8.0" becomes 8 |
| `{column:letter}` | the letter of an index from 0: 2 becomes C                             |
| `{column:options}`| the texts of a list, one lettered line each: "A. red"                  |
| `{column:lines}`  | the texts of a list, one line each                                     |
| `{column:before -}` | the text before the first "-"; all of it without one                 |
| `{column:after :}`  | the text after the first ":"; all of it without one                  |

Braces that are text are written twice: `{{` and `}}`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from nait.core.errors import ConfigError, did_you_mean
from nait.data.row_errors import Row, RowError, checked_text, has_column, is_missing, kind, value_at

CUTS: Mapping[str, Callable[[str, str], str]] = {
    "before": lambda text, mark: text.partition(mark)[0],
    "after": lambda text, mark: text.split(mark, 1)[-1],
}
"""Forms with a mark, at which they cut the text."""
FIELDS = ("instruction", "input", "output", "system")
"""The fields of an example that texts can be given for."""
REQUIRED = ("instruction", "output")


class _Part(NamedTuple):
    """Literal text, then the value of a column in one of the forms; no column after the last literal text."""

    literal: str
    column: str | None
    form: str


@dataclass(frozen=True)
class FieldText:
    """A text with columns in braces. `key`: the config key that messages name.

    Raises: ConfigError for a text that cannot be read, or one without a column.
    """

    key: str
    text: str

    def __post_init__(self) -> None:
        if not self.columns:
            raise ConfigError(
                "has no column", where=self.key, fix="Write the column's name in braces: '{question}'."
            )

    @cached_property
    def parts(self) -> tuple[_Part, ...]:
        fix = "Write {column}, {path.to.0}, {column:letter}, {column:options}, {column:lines}; {{ and }} for braces."
        try:
            found = [
                (_Part(literal, column, form or ""), conversion)
                for literal, column, form, conversion in string.Formatter().parse(self.text)
            ]
        except ValueError as error:
            raise ConfigError(f"cannot be read ({error})", where=self.key, fix=fix) from None
        for part, conversion in found:
            cut, _, mark = part.form.partition(" ")
            if part.column == "" or conversion or not (part.form in _FORMS or (cut in CUTS and mark)):
                raise ConfigError(f"cannot be read: '{self.text}'", where=self.key, fix=fix)
        return tuple(part for part, _ in found)

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(part.column for part in self.parts if part.column is not None)

    def check(self, row: Row, source: str) -> None:
        """Raises: ConfigError for a column that the row does not have."""
        for column in self.columns:
            if not has_column(row, column):
                raise ConfigError(
                    f"there is no column '{column}' in the first row of {source}",
                    where=self.key,
                    fix=did_you_mean(column, row),
                )

    def of(self, row: Row) -> str:
        """The text of a row. Raises: RowError for a value that has no such form."""
        return "".join(
            part.literal + ("" if part.column is None else _written(value_at(row, part.column), part))
            for part in self.parts
        )


def read_texts(texts: Mapping[str, str], key: str) -> dict[str, FieldText]:
    """Field -> its text. Raises: ConfigError for an unknown field, or without instruction or output."""
    for name in texts:
        if name not in FIELDS:
            raise ConfigError(f"Unknown field '{name}'", where=key, fix=did_you_mean(name, FIELDS))
    missing = [name for name in REQUIRED if not texts.get(name)]
    if missing:
        fix = "Write {instruction: '{question}', output: '{answer}'}."
        raise ConfigError(f"has no {' and no '.join(missing)}", where=key, fix=fix)
    return {name: FieldText(f"{key}.{name}", text) for name, text in texts.items() if text}


def _written(value: Any, part: _Part) -> str:
    column = part.column or ""
    if is_missing(value):
        raise RowError("is missing", column=column, fix="Use a column that every row has")
    cut, _, mark = part.form.partition(" ")
    return CUTS[cut](_plain(value, column), mark) if mark else _FORMS[part.form](value, column)


def _plain(value: Any, column: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return checked_text(value, column)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: Any, column: str) -> str:
    text = _plain(value, column).strip()
    return text.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", text) else text


def _letter(value: Any, column: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(string.ascii_uppercase):
        fix = "Use {column:letter} for an index from 0 to 25"
        raise RowError(f"is {kind(value)}, not an index with a letter", column=column, fix=fix)
    return string.ascii_uppercase[value]


def _listed(value: Any, column: str) -> list[str]:
    if not isinstance(value, list):
        raise RowError(f"is {kind(value)}, not a list", column=column, fix="Write {column} without a form")
    return [_plain(one, column) for one in value]


def _options(value: Any, column: str) -> str:
    texts = _listed(value, column)
    return "\n".join(f"{_letter(place, column)}. {text}" for place, text in enumerate(texts))


_FORMS: Mapping[str, Callable[[Any, str], str]] = {
    "": _plain,
    "number": _number,
    "letter": _letter,
    "options": _options,
    "lines": lambda value, column: "\n".join(_listed(value, column)),
}
