"""Multiple-choice rows: prompt with options, and the label of the answer. Pure.

The prompt is the question followed by one line per option, "A. ...", and the answer is a label, as in
lm-evaluation-harness' MMLU. An answer that is text is unchanged.
"""

from __future__ import annotations

import ast
import json
import re
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

from nait.data.row_errors import Row, RowError, checked_text, is_empty, is_missing, kind, value_at

BEYOND = "is the number of its options, where the last index is one less"
ZERO = "an answer that is the index 0"
_LABELS = ("label", "labels", "key")
_TEXTS = ("text", "texts", "content")


class AnswerOptions(NamedTuple):
    """Labels and texts of a question's options."""

    labels: tuple[str, ...]
    texts: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"{label}. {text}" for label, text in zip(self.labels, self.texts, strict=True))


def read_options(row: Row, columns: Sequence[str]) -> AnswerOptions | str | None:
    """Options in one column or in a column each; text that already lists them; None without options.

    Raises: RowError.
    """
    if not columns:
        return None
    column = columns[0]
    if len(columns) > 1:
        held = [(name, value_at(row, name)) for name in columns]
        texts = tuple(_text(value, name, "") for name, value in held if not is_empty(value))
        ends = tuple(name[-1] if name[-1].isdigit() and "sol" not in name else "" for name in columns)
        return _options(texts, ends[: len(texts)] if all(ends) else None, column) if texts else None
    value: object = value_at(row, column)
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = _listed(checked_text(value, column))
    if isinstance(value, dict):
        return _of_object(value, column) if value else None
    if isinstance(value, str):
        return checked_text(value, column) if value.strip() else None
    return None if is_empty(value) else _of_list(value, column)


def _listed(text: str) -> object:
    """The list or object in JSON text, or the list of texts in a Python literal; any other text unchanged."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return text
    return found if isinstance(found, list) and all(isinstance(one, str) for one in found) else text


def _of_object(value: dict[str, Any], column: str) -> AnswerOptions:
    """Options of {text: [...], label: [...]} or {A: ..., B: ...}."""
    texts = next((value[name] for name in _TEXTS if isinstance(value.get(name), list)), None)
    if texts is None:
        held = [(name, text) for name, text in value.items() if text is not None]
        return _options(
            [_text(text, column, f".{name}") for name, text in held], [n for n, _ in held], column
        )
    labels = next((value[name] for name in _LABELS if isinstance(value.get(name), list)), None)
    return _options([_text(one, column, f".text[{i}]") for i, one in enumerate(texts)], labels, column)


def _of_list(value: object, column: str) -> AnswerOptions:
    if not isinstance(value, list):
        raise RowError(f"is {kind(value)}, not a list of options", column=column, fix="Write a list of texts")
    if all(isinstance(one, dict) for one in value):
        texts = [
            _text(next((o[k] for k in _TEXTS if k in o), None), column, f"[{i}]") for i, o in enumerate(value)
        ]
        labels = [next((o[k] for k in _LABELS if k in o), None) for o in value]
        return _options(texts, None if None in labels else labels, column)
    return _options([_text(one, column, f"[{i}]") for i, one in enumerate(value)], None, column)


def _text(value: object, column: str, at: str) -> str:
    """Text of an option; a number becomes its digits."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return checked_text(value, column, at)


def _options(texts: Sequence[str], labels: Sequence[Any] | None, column: str) -> AnswerOptions:
    if labels is None:
        labels = string.ascii_uppercase[: len(texts)]
    if len(labels) != len(texts):
        fix = f"Give each option one label; without labels, at most {len(string.ascii_uppercase)} options"
        raise RowError("has different numbers of labels and options", column=column, fix=fix)
    named = tuple(_text(label, column, ".label") for label in labels)
    return AnswerOptions(named, _without_labels(named, texts))


def _without_labels(labels: Sequence[str], texts: Sequence[str]) -> tuple[str, ...]:
    """Option texts; labels are stripped when every text begins with its own, as in "A)21" or "(B) 22"."""
    found = [
        re.match(rf"\s*(?:\({re.escape(label)}\)|{re.escape(label)}(?:[):]|\.(?!\d)))\s*", text)
        for label, text in zip(labels, texts, strict=True)
    ]
    if not all(found):
        return tuple(texts)
    return tuple(text[one.end() :] for one, text in zip(found, texts, strict=True) if one)


def with_options(question: str, options: AnswerOptions | str | None) -> str:
    """Question followed by one line per option, unless it already lists them."""
    if options is None or (isinstance(options, AnswerOptions) and _shows_options(question, options)):
        return question
    return f"{question}\n{options}"


def _shows_options(question: str, options: AnswerOptions) -> bool:
    """Whether the question contains every option preceded by its label."""
    text = "".join(question.split())
    return bool(options.labels) and all(
        any(f"{label}{mark}{''.join(option.split())}" in text for mark in ").:")
        for label, option in zip(options.labels, options.texts, strict=True)
    )


def chosen_label(
    value: object,
    options: AnswerOptions | str | None,
    column: str,
    *,
    field: str,
    assigned: bool = False,
    first_index: int = 0,
    notes: list[str] | None = None,
) -> str:
    """Answer text: a label or an option's text unchanged; a number becomes the label at that index.

    Indices count from `first_index`; an index 0 is noted. Without options, a number or boolean becomes its JSON text
    if the user has `assigned` the column.
    Raises: RowError for a number outside the options, or any other value that is not text.
    """
    if not isinstance(options, AnswerOptions):
        return _plain_answer(value, column, field=field, assigned=assigned)
    index = _index(value, options)
    if index is None:
        return _label_or_text(value, options, column)
    if index == 0 and notes is not None:
        notes.append(ZERO)
    if not first_index and index == len(options.labels):
        fix = "If they count from 1, set data.first_index=1; else write the label of an option, or its index from 0"
        raise RowError(BEYOND, column=column, fix=fix)
    if not 0 <= index - first_index < len(options.labels):
        raise _no_option(column, first_index)
    return options.labels[index - first_index]


def possible_answers(options: AnswerOptions | str | None, answer: str) -> tuple[str, ...]:
    """The labels or the texts of the options, whichever the answer is one of; empty if it is neither."""
    if not isinstance(options, AnswerOptions):
        return ()
    kinds = [one for one in (options.labels, options.texts) if all(text.strip() for text in one)]
    return next((one for one in kinds if answer in one and 1 < len(one) == len(set(one))), ())


def _plain_answer(value: object, column: str, *, field: str, assigned: bool) -> str:
    """Answer to a question without options."""
    if not isinstance(value, (bool, int, float)) or is_missing(value):
        return checked_text(value, column)
    if assigned:
        return json.dumps(value)
    fix = f"Write it as text, or convert it as written with data.columns={{{field}: {column}}}"
    raise RowError(f"is {kind(value)}, not text", column=column, fix=fix)


def _index(value: object, options: AnswerOptions) -> int | None:
    """Index that an answer states, as a number, its digits, or a list of one number (AGIEval); None for any other."""
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], int):
        value = value[0]
    if isinstance(value, str):
        text = value.strip()
        if not (text.isascii() and text.isdigit()) or text in options.labels or text in options.texts:
            return None
        return int(text) if len(text) < 10 else -1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _label_or_text(value: object, options: AnswerOptions, column: str) -> str:
    """Answer that is a label, in upper case if an option has it, or any other text."""
    text = value.strip() if isinstance(value, str) else None
    if text == "":
        raise _no_option(column, 0)
    if text is not None and text not in (*options.labels, *options.texts) and text.upper() in options.labels:
        return text.upper()
    return checked_text(value, column)


def _no_option(column: str, first_index: int) -> RowError:
    fix = f"Write the label of an option, or its index from {first_index}"
    return RowError("matches none of the options", column=column, fix=fix)
