"""Multiple-choice rows: prompt with options, and the label of the answer. Pure.

The prompt is the question followed by one line per option, "A. ...", and the answer is a label, as in
lm-evaluation-harness' MMLU. An answer that is text is unchanged.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

from nait.data.row_errors import Row, RowError, checked_text, is_empty, is_missing, kind, value_at

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
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return checked_text(value, column)
    if isinstance(value, dict):
        return _of_object(value, column) if value else None
    if isinstance(value, str):
        return checked_text(value, column) if value.strip() else None
    return None if is_empty(value) else _of_list(value, column)


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
    value: object, options: AnswerOptions | str | None, column: str, *, field: str, assigned: bool = False
) -> str:
    """Answer text: a label or an option's text unchanged; a number becomes the label at that index, from 0.

    Without options, a number or boolean becomes its JSON text if the user has `assigned` the column.
    Raises: RowError for a number outside the options, or any other value that is not text.
    """
    if not isinstance(options, AnswerOptions):
        if not isinstance(value, (bool, int, float)) or is_missing(value):
            return checked_text(value, column)
        if assigned:
            return json.dumps(value)
        fix = f"Write it as text, or convert it as written with data.columns={{{field}: {column}}}"
        raise RowError(f"is {kind(value)}, not text", column=column, fix=fix)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], int):
        value = value[0]  # AGIEval: a list with one number
    if isinstance(value, str):
        text = value.strip()
        if (
            not text
            or text in options.labels
            or text in options.texts
            or not text.isascii()
            or not text.isdigit()
        ):
            if not text:
                raise _no_option(column)
            if text not in options.texts and text.upper() in options.labels:
                return text.upper()
            return checked_text(value, column)
        value = int(text) if len(text) < 10 else -1
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return checked_text(value, column)
    if not 0 <= value < len(options.labels):
        raise _no_option(column)
    return options.labels[value]


def _no_option(column: str) -> RowError:
    fix = "Write the label of an option, or its index from 0"
    return RowError("matches none of the options", column=column, fix=fix)
