"""Layouts: a format with the columns of its fields, and the parsing of rows by it. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import ENDS, Dialogue, read_conversation
from nait.data.chat.marks import CALLED, TEMPLATE, has_template_markers, has_tool_call, style_of
from nait.data.chat.messages import CHAT, SHAREGPT, is_conversation
from nait.data.chat.reasoning import Handling
from nait.data.columns.fields.inclusion import EXCLUDING, check_included
from nait.data.columns.fields.question_answer import QuestionAnswer
from nait.data.columns.fields.row_fields import subtask_text, system_text, transcript
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.row_errors import (
    Row,
    RowError,
    has_column,
    is_empty,
    is_missing,
    quoted,
    required_text,
    value_at,
)

_SYSTEM_MARKER = re.compile(r"^\s*SYSTEM:\s*")
"""Marker at the start of a system text whose transcript is in another column (Glaive)."""
UNUSED_WEIGHT = "a row weight, not used"
KEYS = {"messages": CHAT, "sharegpt": SHAREGPT}
TEXT = "text"


class Content(NamedTuple):
    """Parsed content of a row, and notes on what was changed or not used."""

    turns: tuple[Turn, ...]
    system: str
    subtask: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A format and the columns of its fields; None for an optional field without a column.

    `option_columns` hold one answer option each. `assigned` are the fields whose columns the user has named.
    `further` are more columns of the fields that exclude rows: tools, media, label and weight. `literal`: the user
    named the format, so a prompt that is a transcript is a text.
    """

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, str | None] = field(default_factory=dict)
    option_columns: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    literal: bool = False

    def __str__(self) -> str:
        held = {name: column for name, column in {**self.required, **self.optional}.items() if column}
        parts = [f"{name} in {quoted(column)}" for name, column in held.items()]
        if self.option_columns:
            parts.append(f"options in {', '.join(map(quoted, self.option_columns))}")
        return f"format {self.format}, " + ", ".join(parts)

    @property
    def columns(self) -> frozenset[str]:
        """Columns that are read; a path also contributes its first column."""
        held = [
            *self.required.values(),
            *self.option_columns,
            *(column for column in self.optional.values() if column),
            *(column for columns in self.further.values() for column in columns),
        ]
        return frozenset([*held, *(column.split(".")[0] for column in held)])

    def read(self, row: Row, handling: Handling = Handling()) -> Content:  # noqa: B008  # frozen
        """Content of the row. Raises: RowError."""
        weights = check_included(row, self._excluding) if self._excluding else []
        system = system_text(row, self.optional.get("system"))
        if self.format == TEXT:
            system = _SYSTEM_MARKER.sub("", system)
        turns, own_system, notes = self._dialogue(row, handling)
        if system and own_system and system != own_system:
            raise RowError(
                "differs from the system message of the conversation",
                column=self.optional["system"] or "",
                fix="Keep one of the two, or set data.columns={system: null}",
            )
        if any(has_template_markers(text) for turn in turns for text in (turn.instruction, turn.answer)) or (
            (own_system or system) and has_template_markers(own_system or system)
        ):
            notes = (*notes, TEMPLATE)
        if any(has_tool_call(turn.answer) for turn in turns):
            notes = (*notes, CALLED)
        if any(weight != 1 for weight in weights):
            notes = (*notes, UNUSED_WEIGHT)
        return Content(turns, own_system or system, subtask_text(row, self.optional.get("subtask")), notes)

    def columns_of(self, name: str) -> tuple[str, ...]:
        """All columns of an optional field."""
        first = self.optional.get(name)
        return () if first is None else (first, *self.further.get(name, ()))

    def completed_by(self, other: Layout, appeared: Collection[str]) -> Layout:
        """This layout with the columns of another, of those that have `appeared`, for optional fields without one."""
        new = {
            name: tuple(column for column in other.columns_of(name) if column in appeared)
            for name in other.optional
        }
        optional = {
            name: self.optional.get(name) or next(iter(columns), None) for name, columns in new.items()
        }
        further = {}
        for name in EXCLUDING:
            columns = dict.fromkeys((*self.columns_of(name), *new.get(name, ())))
            further[name] = tuple(column for column in columns if column != optional.get(name))
        return replace(self, optional=optional, further=further)

    @cached_property
    def _excluding(self) -> tuple[tuple[str, str], ...]:
        """Field and column of everything that may exclude a row."""
        return tuple((name, column) for name in EXCLUDING for column in self.columns_of(name))

    @cached_property
    def _question_answer(self) -> QuestionAnswer:
        (_, first), (answer, last) = self.required.items()
        return QuestionAnswer(
            first, last, answer, self.optional, self.option_columns, self.assigned, self.literal
        )

    def _dialogue(self, row: Row, handling: Handling) -> Dialogue:
        first = next(iter(self.required.values()))
        if self.format in KEYS:
            return self._conversation(row, first, handling)
        if self.format == TEXT:
            return transcript(required_text(row, first), first, handling)
        return self._question_answer.dialogue(row, handling)

    def _conversation(self, row: Row, column: str, handling: Handling) -> Dialogue:
        """Turns of a conversation. When it ends with the user, the error suggests a column for the answer."""
        try:
            speakers = self.optional.get("speakers")
            return read_conversation(row, column, KEYS[self.format], handling, speakers)
        except RowError as error:
            found = guess_mapping(row) if error.what == ENDS else None
            if not found or "completion" not in found:
                raise
            answer = f"If {quoted(str(found['completion']))} is its answer"
            fix = f"{answer}, set data.columns={mapping_text(found)}. {error.fix}"
            raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None

    def is_blank(self, row: Row) -> bool:
        """Whether the row's conversation is empty, or its answer is missing."""
        first, *rest = self.required.values()
        return (
            is_empty(value_at(row, first))
            if self.format in KEYS
            else is_missing(value_at(row, [first, *rest][-1]))
        )

    def fits(self, row: Row) -> bool:
        """Whether the row has all required columns with values of the right type."""
        if not all(has_column(row, column) for column in self.required.values()):
            return False
        first = value_at(row, next(iter(self.required.values())))
        if self.format == TEXT:
            return style_of(first) is not None
        return self.format not in KEYS or is_conversation(first, KEYS[self.format])
