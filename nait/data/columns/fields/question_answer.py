"""Question and answer columns: texts with input, options and history, or messages (TRL). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import Dialogue, read_conversation, turns_from_messages
from nait.data.chat.media import PLACEHOLDER, checked_media, has_media_placeholder
from nait.data.chat.messages import CHAT, SHAREGPT, is_conversation, is_messages, read_messages
from nait.data.chat.reasoning import Handling, join_reasoning
from nait.data.chat.roles import ASSISTANT, USER, Message
from nait.data.chat.transcripts import read_prompt
from nait.data.columns.fields.multiple_choice import (
    AnswerOptions,
    chosen_label,
    possible_answers,
    read_options,
    with_options,
)
from nait.data.columns.fields.row_fields import input_text
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.omissions import mapping_caveats
from nait.data.columns.hints.row_hints import hint, mapping_text
from nait.data.columns.hints.row_shapes import is_item_list, item_advice, numbered_turns
from nait.data.columns.nested_texts import best_text_path, is_history, joined_texts
from nait.data.columns.path_steps import EVERY
from nait.data.row_errors import Row, RowError, checked_text, is_empty, quoted, value_at

JOINED_INPUT = "an input that is a list of texts, joined by blank lines"


@dataclass(frozen=True)
class QuestionAnswer:
    """Columns of a question and its answer.

    `answer_field` is the field of the answer column; `optional`, `option_columns` and `literal` as in `Layout`.
    `assigned` are the fields whose columns the user has named.
    """

    first: str
    last: str
    answer_field: str
    optional: Mapping[str, str | None]
    option_columns: tuple[str, ...] = ()
    assigned: frozenset[str] = frozenset()
    literal: bool = False

    def dialogue(self, row: Row, handling: Handling) -> Dialogue:
        """Turns of the row. Raises: RowError; for a value that is not text, with the mapping to a text in it."""
        try:
            return self._dialogue(row, handling)
        except RowError as error:
            fields = {self.first: "prompt" if self.answer_field == "completion" else "instruction"}
            fields[self.last] = self.answer_field
            if not error.path or error.column not in fields:
                raise
            paths = {
                name: error.path if column == error.column else column for column, name in fields.items()
            }
            fix = error.fix.replace(
                f"give the path of a text in it, such as {quoted(error.path)}",
                f"read a text in it with data.columns={mapping_text(paths)}",
            )
            raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None

    def _dialogue(self, row: Row, handling: Handling) -> Dialogue:
        for column in (self.first, self.last):
            if is_item_list(value_at(row, column)):
                fix = item_advice(value_at(row, column), self.first, column)
                raise RowError("holds items of an API response other than messages", column=column, fix=fix)
        if self.last in numbered_turns(row)[:-1]:
            raise RowError("is one of several messages", column=self.last, fix=hint(row).removesuffix(". "))
        if self._is_chat(row):
            return self._nested(row, handling)
        return self._pair(row, handling)

    def _is_chat(self, row: Row) -> bool:
        """Whether question or answer are messages, or the question is a list of the texts before the answer."""
        values = (value_at(row, self.first), value_at(row, self.last))
        return any(map(is_messages, values)) or is_history(self.first, values[0])

    def _nested(self, row: Row, handling: Handling) -> Dialogue:
        """Turns of prompt and completion messages. When one is an object around them, the error has a mapping."""
        try:
            return self._messages(row, handling)
        except RowError as error:
            guess = guess_mapping(row) if isinstance(value_at(row, error.column), dict) else None
            if not guess or {*guess} != {"prompt", "completion"} or "data.columns=" in error.fix:
                raise
            fix = f"{mapping_caveats(row, guess)}Set data.columns={mapping_text(guess)}"
            raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None

    def _pair(self, row: Row, handling: Handling) -> Dialogue:
        """Turn of a question and an answer text, after the turns of the history."""
        notes: list[str] = []
        options = self._options(row)
        question = with_options(checked_text(_value(row, self.first), self.first), options)
        answer = chosen_label(
            _value(row, self.last),
            options,
            self.last,
            field=self.answer_field,
            assigned=self.answer_field in self.assigned,
            first_index=handling.first_index,
            notes=notes,
        )
        reasoning = value_at(row, self.optional.get("reasoning"))
        answer = join_reasoning(
            answer, reasoning, self.optional.get("reasoning") or self.last, "", handling, notes
        )
        given = input_text(row, self.optional.get("input"), assigned="input" in self.assigned)
        if isinstance(value_at(row, self.optional.get("input")), list) and given:
            notes.append(JOINED_INPUT)
        history = self.optional.get("history")
        earlier = None if history is None or is_empty(value_at(row, history)) else history
        plain = not (self.literal or given or earlier or options)
        if plain and (asked := read_prompt(question, answer, self.first, handling)):
            return Dialogue(asked.turns, asked.system, (*asked.notes, *notes))
        turn = Turn(
            question,
            answer,
            given,
            options=possible_answers(options, answer),
            offered=isinstance(options, AnswerOptions),
        )
        if any(map(has_media_placeholder, (question, turn.input, answer))):
            notes.append(PLACEHOLDER)
        if earlier is None:
            return Dialogue((turn,), "", tuple(notes))
        before = read_conversation(row, earlier, CHAT, handling)
        return Dialogue((*before.turns, turn), before.system, (*before.notes, *notes))

    def _options(self, row: Row) -> AnswerOptions | str | None:
        held = self.optional.get("options")
        return read_options(row, self.option_columns or ((held,) if held else ()))

    def _messages(self, row: Row, handling: Handling) -> Dialogue:
        """Turns of prompt and completion messages. Answers in the prompt are context, as in TRL."""
        notes: list[str] = []
        self._check_no_question_parts(row)
        messages = [one._replace(trained=False) for one in self._prompt(row, handling, notes)]
        value = value_at(row, self.last)
        messages += self._completion(value, messages, handling, notes)
        reasoning = value_at(row, self.optional.get("reasoning"))
        if messages[-1].role == ASSISTANT and not (is_empty(reasoning) and isinstance(value, list)):
            text = join_reasoning(messages[-1].text, reasoning, self.last, "", handling, notes)
            messages[-1] = messages[-1]._replace(text=text)
        return turns_from_messages(messages, self.last, handling, notes)

    def _prompt(self, row: Row, handling: Handling, notes: list[str]) -> list[Message]:
        value = value_at(row, self.first)
        if is_history(self.first, value):
            texts = [checked_media(text, self.first, f"[{i}]") for i, text in enumerate(value)]
            return [Message((USER, ASSISTANT)[i % 2], text) for i, text in enumerate(reversed(texts))][::-1]
        return _found(value, self.first, USER, handling, notes)

    def _completion(
        self, value: Any, prompt: list[Message], handling: Handling, notes: list[str]
    ) -> list[Message]:
        """Messages of the completion, without the prompt if it repeats it."""
        found = _found(value, self.last, ASSISTANT, handling, notes)
        if isinstance(value, dict) and is_messages(value) and [one.role for one in found] == [USER]:
            raise _two_prompts(value, self.first, self.last)
        repeated = [one[:2] for one in found[: len(prompt)]] == [one[:2] for one in prompt]
        return found[len(prompt) :] if prompt and repeated else found

    def _check_no_question_parts(self, row: Row) -> None:
        """Raises: RowError for an input, options or history next to a prompt that is a conversation."""
        for name in ("input", "options", "history"):
            column = self.optional.get(name)
            if column and not is_empty(value_at(row, column)):
                fix = f"Write it into the first message, or set data.columns={{{name}: null}}"
                if name == "input":
                    mapping = mapping_text({"system": column, "input": None})
                    fix = f"Read it as the system text, data.columns={mapping}. Or {fix[0].lower()}{fix[1:]}"
                raise RowError(
                    "cannot be combined with a prompt that is a conversation", column=column, fix=fix
                )


def _value(row: Row, column: str) -> Any:
    """Value of a column; the texts of a list at a path with a step `*` are joined by blank lines."""
    value = value_at(row, column)
    joined = joined_texts(value) if EVERY in column.split(".") else None
    return value if joined is None else joined


def _found(value: Any, column: str, speaker: str, handling: Handling, notes: list[str]) -> list[Message]:
    """Messages of a value, or the text of one message by this speaker."""
    if not isinstance(value, list) and not is_messages(value):
        return [Message(speaker, checked_media(checked_text(value, column), column, ""))]
    keys = SHAREGPT if is_conversation([value] if isinstance(value, dict) else value, SHAREGPT) else CHAT
    return read_messages(value, column, keys, handling, notes)


def _two_prompts(value: Mapping[str, Any], first: str, last: str) -> RowError:
    """Fault of two columns with one user message each, as agents that talk to each other write them."""
    text = best_text_path({key: one for key, one in value.items() if key in CHAT.text}) or ".content"
    mapping = {"prompt": first + text, "completion": last + text}
    fix = f"If it answers {quoted(first)}, set data.columns={mapping_text(mapping)}"
    return RowError("is a user message, not an answer", column=last, fix=fix)
