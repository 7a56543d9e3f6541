"""Formats: which columns of a row are the instruction, the answer, the conversation. Pure.

| format            | fields (required first)                           |
|-------------------|---------------------------------------------------|
| messages          | messages: a list of {role, content}               |
| sharegpt          | conversations: a list of {from, value}            |
| alpaca            | instruction, output, input                        |
| prompt_completion | prompt, completion                                |

Each also has the fields `system` and `subtask`. A layout is one way the columns are called.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nait.core.errors import ConfigError, did_you_mean
from nait.core.examples import Turn
from nait.data.conversations import CHAT, SHAREGPT, looks_like, read_conversation
from nait.data.rows import Row, RowError, kind, optional_text, required_text

Columns = Mapping[str, str | None]

_KEYS = {"messages": CHAT, "sharegpt": SHAREGPT}


class Content(NamedTuple):
    """What a row says."""

    turns: tuple[Turn, ...]
    system: str
    subtask: str


@dataclass(frozen=True)
class Layout:
    """A format and the columns that hold its fields; None for an optional field that no column holds."""

    format: str
    required: Mapping[str, str]
    optional: Columns = field(default_factory=dict)

    def __str__(self) -> str:
        held = {name: column for name, column in {**self.required, **self.optional}.items() if column}
        return f"format {self.format}, " + ", ".join(f"{name} in '{column}'" for name, column in held.items())

    def read(self, row: Row) -> Content:
        """What the row says. Raises: RowError."""
        system = optional_text(row, self.optional.get("system"))
        turns, said = self._turns(row)
        if system and said and system != said:
            raise RowError(
                "differs from the conversation's own system message",
                column=self.optional["system"] or "",
                mend="Keep one of the two, or set columns={system: null}",
            )
        return Content(turns, said or system, _subtask(row, self.optional.get("subtask")))

    def _turns(self, row: Row) -> tuple[tuple[Turn, ...], str]:
        first, *rest = self.required.values()
        if self.format in _KEYS:
            return read_conversation(row, first, _KEYS[self.format])
        question, answer = required_text(row, first), required_text(row, rest[0])
        return (Turn(question, answer, optional_text(row, self.optional.get("input"))),), ""

    def fits(self, row: Row) -> bool:
        """Whether the row has all required columns and, for conversations, messages with the right keys."""
        if not all(column in row for column in self.required.values()):
            return False
        keys = _KEYS.get(self.format)
        return keys is None or all(looks_like(row[column], keys) for column in self.required.values())


def _layouts() -> tuple[Layout, ...]:
    """All layouts, in the order in which they are tried: a conversation says more than a pair of columns."""
    chats = ("messages", "conversation", "conversations")
    pairs = (
        ("prompt", "completion"),
        ("question", "answer"),
        ("query", "response"),
        ("question", "response"),
        ("prompt", "response"),
    )
    either = {"system": "system", "subtask": "subtask"}
    return (
        *(Layout("messages", {"messages": name}, either) for name in chats),
        *(Layout("sharegpt", {"conversations": name}, either) for name in reversed(chats)),
        Layout("alpaca", {"instruction": "instruction", "output": "output"}, {"input": "input", **either}),
        Layout(
            "alpaca", {"instruction": "instruction", "output": "response"}, {"input": "context", **either}
        ),
        *(Layout("prompt_completion", {"prompt": p, "completion": c}, either) for p, c in pairs),
    )


LAYOUTS = _layouts()
FORMATS = tuple(dict.fromkeys(layout.format for layout in LAYOUTS))


def find_layout(
    row: Row, *, format: str = "auto", columns: Columns | None = None, where: str = "", group: str = "data"
) -> Layout:
    """The layout that fits this row, the first of the source `where`, with the user's column names put in.

    Raises: ConfigError when the format, a field or a column does not exist; RowError when nothing fits.
    """
    if format != "auto" and format not in FORMATS:
        hint = did_you_mean(format, (*FORMATS, "auto"))
        raise ConfigError(f"Unknown format '{format}'", where=f"{group}.format", mend=hint)
    named = dict(columns or {})
    tried = [layout for layout in LAYOUTS if format in ("auto", layout.format)]
    _check_columns(named, tried, row, where=f"{group}.columns", source=where)
    renamed = [_renamed(layout, named) for layout in tried if named.keys() <= _fields(layout)]
    for layout in renamed:
        if layout.fits(row):
            return layout
    # The user has said which format it is: what does not fit then is the row's fault, and named with it.
    if format in _KEYS:
        held = [layout for layout in renamed if all(column in row for column in layout.required.values())]
        if held:
            return held[0]
    raise _nothing_fits(row, renamed or tried, group=group)


def _fields(layout: Layout) -> set[str]:
    return {*layout.required, *layout.optional}


def _renamed(layout: Layout, named: Columns) -> Layout:
    required = {name: named.get(name) or column for name, column in layout.required.items()}
    return Layout(
        layout.format, required, {**layout.optional, **{n: named[n] for n in layout.optional if n in named}}
    )


def _check_columns(named: Columns, tried: list[Layout], row: Row, *, where: str, source: str) -> None:
    required = {name for layout in tried for name in layout.required}
    known = {name for layout in tried for name in _fields(layout)}
    for name, column in named.items():
        if name not in known:
            raise ConfigError(f"Unknown field '{name}'", where=where, mend=did_you_mean(name, known))
        if column is None and name in required:
            raise ConfigError(
                f"'{name}' must be a column", where=where, mend="Only optional fields may be null."
            )
        if column is not None and column not in row:
            raise ConfigError(
                f"there is no column '{column}' in the first row of {source}",
                where=f"{where}.{name}",
                mend=did_you_mean(column, row),
            )


def _nothing_fits(row: Row, tried: list[Layout], *, group: str) -> RowError:
    seen = ", ".join(f"'{column}' ({kind(value)})" for column, value in row.items()) or "no column"
    ways: dict[str, list[str]] = {}
    for layout in tried:
        ways.setdefault(layout.format, []).append("+".join(layout.required.values()))
    known = "; ".join(f"{format} ({' or '.join(dict.fromkeys(way))})" for format, way in ways.items())
    fields = ", ".join(f"{name}: COLUMN" for name in tried[-1].required)
    mend = f"It has {seen}. Formats: {known}. Name the columns by {group}.columns={{{fields}}}"
    return RowError(
        "fits no format" if len(ways) > 1 else f"does not fit the format {tried[0].format}", mend=mend
    )


def _subtask(row: Row, column: str | None) -> str:
    """The row's subtask; a number is taken as its digits. Strings are shared: there are few."""
    value = row.get(column) if column else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if value is not None and not isinstance(value, str):
        mend = "Write it as text, or set columns={subtask: null}"
        raise RowError(f"is {kind(value)}, not text", column=column or "", mend=mend)
    return sys.intern(optional_text(row, column))
