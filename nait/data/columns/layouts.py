"""Layouts: a format with the columns of its fields, and the parsing of rows by it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import ENDS, Dialogue, read_conversation, turns_from_messages
from nait.data.chat.flags import read_label, read_weight
from nait.data.chat.marks import CALLED, TEMPLATE, has_template_markers, has_tool_call, style_of
from nait.data.chat.media import NO_MEDIA, PLACEHOLDER, checked_media, has_media_placeholder, is_absent
from nait.data.chat.messages import (
    CHAT,
    SHAREGPT,
    is_conversation,
    is_messages,
    read_messages,
)
from nait.data.chat.reasoning import Handling, join_reasoning
from nait.data.chat.roles import ASSISTANT, USER, Message
from nait.data.columns.hints.guesses import guess_mapping
from nait.data.columns.hints.row_hints import mapping_caveats, mapping_text
from nait.data.columns.hints.row_shapes import is_item_list, item_advice
from nait.data.columns.multiple_choice import AnswerOptions, chosen_label, read_options, with_options
from nait.data.columns.nested_texts import best_text_path
from nait.data.columns.row_fields import subtask_text, system_text, transcript
from nait.data.row_errors import (
    Row,
    RowError,
    checked_text,
    has_column,
    is_empty,
    is_missing,
    kind,
    optional_text,
    quoted,
    required_text,
    value_at,
)

_SYSTEM_MARKER = re.compile(r"^\s*SYSTEM:\s*")
"""Marker at the start of a system text whose transcript is in another column (Glaive)."""
UNUSED_WEIGHT = "a row weight, not used"
KEYS = {"messages": CHAT, "sharegpt": SHAREGPT}
TEXT = "text"
_UNSUPPORTED = {
    "tools": ("has tools", "Tools are not supported: remove such rows"),
    "media": ("holds an image, video or audio", NO_MEDIA),
}
_NOT_TRAINED = {"label": "marks the answer as undesirable", "weight": "marks the row as not trained"}
EXCLUDING = (*_UNSUPPORTED, *_NOT_TRAINED)
"""Fields that exclude rows: all columns with their usual names are checked, where other fields use the first."""


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
    `further` are more columns of the fields that exclude rows: tools, media, label and weight.
    """

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, str | None] = field(default_factory=dict)
    option_columns: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()
    further: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

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
        weights = self._check_included(row) if self._excluding else []
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

    def completed_by(self, other: Layout) -> Layout:
        """This layout with the columns of another for its optional fields without one."""
        optional = {name: self.optional.get(name) or column for name, column in other.optional.items()}
        further = {}
        for name in EXCLUDING:
            columns = dict.fromkeys((*self.columns_of(name), *other.columns_of(name)))
            further[name] = tuple(column for column in columns if column != optional.get(name))
        return replace(self, optional=optional, further=further)

    @cached_property
    def _excluding(self) -> tuple[tuple[str, str], ...]:
        """Field and column of everything that may exclude a row."""
        return tuple((name, column) for name in EXCLUDING for column in self.columns_of(name))

    def _check_included(self, row: Row) -> list[float]:
        """Weights of the row. Raises: RowError for tools, media, or a label or weight that excludes its answer."""
        weights: list[float] = []
        for name, column in self._excluding:
            value = value_at(row, column)
            if is_absent(value):
                continue
            disable = f"or set data.columns={{{name}: null}}"
            if name in _UNSUPPORTED:
                what, fix = _UNSUPPORTED[name]
                raise RowError(what, column=column, fix=f"{fix}, {disable}")
            found = read_label(value) if name == "label" else read_weight(value)
            if found is None:
                what = f"is {kind(value)}, which is not a {name}"
                raise RowError(what, column=column, fix=f"Write 1 or 0, {disable}")
            if not found:
                raise RowError(_NOT_TRAINED[name], column=column, fix=f"Remove such rows, {disable}")
            weights.append(float(found))
        return weights

    def _dialogue(self, row: Row, handling: Handling) -> Dialogue:
        first, *rest = self.required.values()
        if self.format in KEYS:
            return self._conversation(row, first, handling)
        if self.format == TEXT:
            return transcript(required_text(row, first), first, handling)
        for column in (first, *rest):
            if is_item_list(value_at(row, column)):
                fix = item_advice(value_at(row, column), first, column)
                raise RowError("holds items of an API response other than messages", column=column, fix=fix)
        if any(is_messages(value_at(row, column)) for column in (first, rest[0])):
            return self._nested(row, first, rest[0], handling)
        return self._pair(row, first, rest[0], handling)

    def _nested(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """Turns of prompt and completion messages. When one is an object around them, the error has a mapping."""
        try:
            return self._messages(row, first, last, handling)
        except RowError as error:
            guess = guess_mapping(row) if isinstance(value_at(row, error.column), dict) else None
            if not guess or {*guess} != {"prompt", "completion"} or "data.columns=" in error.fix:
                raise
            fix = f"{mapping_caveats(row, guess)}Set data.columns={mapping_text(guess)}"
            raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None

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

    def _pair(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """Turn of a question and an answer column, after the turns of the history."""
        notes: list[str] = []
        options = self._options(row)
        question = with_options(required_text(row, first), options)
        field = list(self.required)[1]
        answer = chosen_label(
            value_at(row, last), options, last, field=field, assigned=field in self.assigned
        )
        reasoning = value_at(row, self.optional.get("reasoning"))
        answer = join_reasoning(
            answer, reasoning, self.optional.get("reasoning") or last, "", handling, notes
        )
        turn = Turn(question, answer, self._input(row))
        if any(map(has_media_placeholder, (question, turn.input, answer))):
            notes.append(PLACEHOLDER)
        history = self.optional.get("history")
        if history is None or is_empty(value_at(row, history)):
            return Dialogue((turn,), "", tuple(notes))
        earlier = read_conversation(row, history, CHAT, handling)
        return Dialogue((*earlier.turns, turn), earlier.system, (*earlier.notes, *notes))

    def _input(self, row: Row) -> str:
        column = self.optional.get("input")
        try:
            return optional_text(row, column)
        except RowError as error:
            if "input" in self.assigned:
                raise
            fix = f"{error.fix}, or set data.columns={{input: null}}"
            raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None

    def _options(self, row: Row) -> AnswerOptions | str | None:
        held = self.optional.get("options")
        return read_options(row, self.option_columns or ((held,) if held else ()))

    def _messages(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """Turns of prompt and completion messages. Answers in the prompt are context, as in TRL."""
        notes: list[str] = []
        messages: list[Message] = []
        self._check_no_question_parts(row)
        for column, speaker in ((first, "user"), (last, "assistant")):
            value = value_at(row, column)
            if isinstance(value, list) or is_messages(value):
                keys = SHAREGPT if isinstance(value, list) and is_conversation(value, SHAREGPT) else CHAT
                found = read_messages(value, column, keys, handling, notes)
                if column == last and isinstance(value, dict) and [one.role for one in found] == [USER]:
                    raise _two_prompts(value, first, last)
                if (
                    column == last
                    and messages
                    and [one[:2] for one in found[: len(messages)]] == [one[:2] for one in messages]
                ):
                    found = found[len(messages) :]  # the completion repeats the prompt
            else:
                found = [Message(speaker, checked_media(checked_text(value, column), column, ""))]
            messages += [one._replace(trained=False) for one in found] if column == first else found
        reasoning = value_at(row, self.optional.get("reasoning"))
        if messages[-1].role == ASSISTANT and not (is_empty(reasoning) and isinstance(value, list)):
            text = join_reasoning(messages[-1].text, reasoning, last, "", handling, notes)
            messages[-1] = messages[-1]._replace(text=text)
        return turns_from_messages(messages, last, handling, notes)

    def _check_no_question_parts(self, row: Row) -> None:
        """Raises: RowError for an input, options or history next to a prompt that is a conversation."""
        for name in ("input", "options", "history"):
            column = self.optional.get(name)
            if column and not is_empty(value_at(row, column)):
                fix = f"Write it into the first message, or set data.columns={{{name}: null}}"
                raise RowError(
                    "cannot be combined with a prompt that is a conversation", column=column, fix=fix
                )

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


def _two_prompts(value: Mapping[str, Any], first: str, last: str) -> RowError:
    """Fault of two columns with one user message each, as agents that talk to each other write them."""
    text = best_text_path({key: one for key, one in value.items() if key in CHAT.text}) or ".content"
    mapping = {"prompt": first + text, "completion": last + text}
    fix = f"If it answers {quoted(first)}, set data.columns={mapping_text(mapping)}"
    return RowError("is a user message, not an answer", column=last, fix=fix)
