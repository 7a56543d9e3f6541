"""Layouts: a format, and the columns that hold its fields; what a row says by it. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import ENDS, Dialogue, read_conversation, take_turns
from nait.data.chat.marks import way_of
from nait.data.chat.messages import (
    ASSISTANT,
    CALLED,
    CHAT,
    PLACEHOLDER,
    SHAREGPT,
    TEMPLATE,
    Said,
    is_messages,
    looks_like,
    messages_of,
    shows_call,
    shows_media,
    shows_template,
    spoken,
)
from nait.data.chat.reasoning import Handling, with_reasoning
from nait.data.chat.transcripts import read_transcript
from nait.data.columns.hints import guess, written
from nait.data.columns.multiple_choice import AnswerOptions, chosen_label, read_options, with_options
from nait.data.row_errors import (
    Row,
    RowError,
    checked_text,
    has_column,
    is_empty,
    is_missing,
    kind,
    optional_text,
    required_text,
    shown,
    value_at,
)

_SYSTEM_MARK = re.compile(r"^\s*SYSTEM:\s*")
"""How a system text begins that belongs to a transcript in another column (Glaive)."""
WEIGHED = "a weight of the row, which is not used"
KEYS = {"messages": CHAT, "sharegpt": SHAREGPT}
TEXT = "text"
_REFUSED = {
    "tools": ("offers tools", "Tools are not supported: leave such rows out"),
    "media": ("holds an image, a video or a sound", "A language model sees none: leave such rows out"),
}


class Content(NamedTuple):
    """What a row says, and what was done to it."""

    turns: tuple[Turn, ...]
    system: str
    subtask: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Layout:
    """A format and the columns that hold its fields; None for an optional field that no column holds.

    `spread` are the columns of options that have one each, `assigned` the fields whose columns the user has named.
    """

    format: str
    required: Mapping[str, str]
    optional: Mapping[str, str | None] = field(default_factory=dict)
    spread: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()

    def __str__(self) -> str:
        held = {name: column for name, column in {**self.required, **self.optional}.items() if column}
        told = [f"{name} in {shown(column)}" for name, column in held.items()]
        if self.spread:
            told.append(f"options in {', '.join(map(shown, self.spread))}")
        return f"format {self.format}, " + ", ".join(told)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that are read; of a path the column in which it begins, too."""
        held = [
            *self.required.values(),
            *self.spread,
            *(column for column in self.optional.values() if column),
        ]
        return frozenset([*held, *(column.split(".")[0] for column in held)])

    def read(self, row: Row, handling: Handling = Handling()) -> Content:  # noqa: B008  # frozen
        """What the row says. Raises: RowError."""
        for name, (what, mend) in _REFUSED.items():
            column = self.optional.get(name)
            if column and not is_empty(value_at(row, column)):
                raise RowError(what, column=column, mend=f"{mend}, or set data.columns={{{name}: null}}")
        self._check_wanted(row)
        system = _system(row, self.optional.get("system"))
        if self.format == TEXT:
            system = _SYSTEM_MARK.sub("", system)
        turns, said, notes = self._dialogue(row, handling)
        if system and said and system != said:
            raise RowError(
                "differs from the conversation's own system message",
                column=self.optional["system"] or "",
                mend="Keep one of the two, or set data.columns={system: null}",
            )
        if any(shows_template(text) for turn in turns for text in (turn.instruction, turn.answer)):
            notes = (*notes, TEMPLATE)
        if any(shows_call(turn.answer) for turn in turns):
            notes = (*notes, CALLED)
        weight = value_at(row, self.optional.get("weight"))
        if not is_missing(weight) and weight != 1:
            notes = (*notes, WEIGHED)
        return Content(turns, said or system, _subtask(row, self.optional.get("subtask")), notes)

    def _check_wanted(self, row: Row) -> None:
        """Raises: RowError for a row whose label or weight says that its answer is not to be learned."""
        for name, what in (
            ("label", "marks the answer as not wanted"),
            ("weight", "marks the row as not trained"),
        ):
            column = self.optional.get(name)
            value = value_at(row, column)
            if column and (value is False or (name == "weight" and value == 0)):
                mend = f"Leave such rows out, or set data.columns={{{name}: null}}"
                raise RowError(what, column=column, mend=mend)

    def _dialogue(self, row: Row, handling: Handling) -> Dialogue:
        first, *rest = self.required.values()
        if self.format in KEYS:
            return self._conversation(row, first, handling)
        if self.format == TEXT:
            return read_transcript(required_text(row, first), first, handling)
        if any(is_messages(value_at(row, column)) for column in (first, rest[0])):
            return self._messages(row, first, rest[0], handling)
        return self._pair(row, first, rest[0], handling)

    def _conversation(self, row: Row, column: str, handling: Handling) -> Dialogue:
        """The turns of a conversation; where it ends with the user, the column that may hold the answer is named."""
        try:
            return read_conversation(row, column, KEYS[self.format], handling)
        except RowError as error:
            found = guess(row) if error.what == ENDS else None
            if not found or "completion" not in found:
                raise
            mend = f"If {shown(found['completion'])} is its answer, set data.columns={written(found)}. {error.mend}"
            raise RowError(error.what, column=error.column, at=error.at, mend=mend) from None

    def _pair(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """A question and its answer in columns of their own, behind the turns of a history."""
        notes: list[str] = []
        options = self._options(row)
        question = with_options(required_text(row, first), options)
        field = list(self.required)[1]
        answer = chosen_label(
            value_at(row, last), options, last, field=field, assigned=field in self.assigned
        )
        thought = value_at(row, self.optional.get("reasoning"))
        answer = with_reasoning(answer, thought, self.optional.get("reasoning") or last, "", handling, notes)
        turn = Turn(question, answer, self._input(row))
        if shows_media(question) or shows_media(turn.input):
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
            mend = f"{error.mend}, or set data.columns={{input: null}}"
            raise RowError(error.what, column=error.column, at=error.at, mend=mend) from None

    def _options(self, row: Row) -> AnswerOptions | str | None:
        held = self.optional.get("options")
        return read_options(row, self.spread or ((held,) if held else ()))

    def _messages(self, row: Row, first: str, last: str, handling: Handling) -> Dialogue:
        """Prompt and completion as messages: an answer in the prompt is context, as in TRL."""
        notes: list[str] = []
        said: list[Said] = []
        self._check_alone(row)
        for column, speaker in ((first, "user"), (last, "assistant")):
            value = value_at(row, column)
            if isinstance(value, list) or is_messages(value):
                found = messages_of(value, column, CHAT, handling, notes)
                if (
                    column == last
                    and said
                    and [one[:2] for one in found[: len(said)]] == [one[:2] for one in said]
                ):
                    found = found[len(said) :]  # the whole conversation, prompt included
            else:
                found = [Said(speaker, checked_text(value, column))]
            said += [one._replace(trained=False) for one in found] if column == first else found
        thought = value_at(row, self.optional.get("reasoning"))
        if said[-1].role == ASSISTANT and not (is_empty(thought) and isinstance(value, list)):
            text = with_reasoning(said[-1].text, thought, last, "", handling, notes)
            said[-1] = said[-1]._replace(text=text)
        return take_turns(said, last, handling, notes)

    def _check_alone(self, row: Row) -> None:
        """Raises: RowError for a part of a question beside a prompt that is a conversation."""
        for name in ("input", "options", "history"):
            column = self.optional.get(name)
            if column and not is_empty(value_at(row, column)):
                mend = f"Write it into the first message, or set data.columns={{{name}: null}}"
                raise RowError("stands beside a prompt that is a conversation", column=column, mend=mend)

    def fits(self, row: Row) -> bool:
        """Whether the row has all required columns, and values of the right form in them."""
        if not all(has_column(row, column) for column in self.required.values()):
            return False
        first = value_at(row, next(iter(self.required.values())))
        if self.format == TEXT:
            return way_of(first) is not None
        return self.format not in KEYS or looks_like(first, KEYS[self.format])


def _system(row: Row, column: str | None) -> str:
    """The system text; one that is written as a message or in parts is read as such."""
    value = value_at(row, column) if column else None
    if isinstance(value, (dict, list)) and value:
        return spoken(value, column or "", "")[0]
    return optional_text(row, column)


def _subtask(row: Row, column: str | None) -> str:
    """The row's subtask; a number is taken as its digits. Strings are shared: there are few."""
    value: Any = value_at(row, column) if column else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not is_missing(value) and not isinstance(value, str):
        mend = "Write it as text, or set data.columns={subtask: null}"
        raise RowError(f"is {kind(value)}, not text", column=column or "", mend=mend)
    return sys.intern(optional_text(row, column))
