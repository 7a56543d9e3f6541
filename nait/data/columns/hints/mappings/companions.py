"""Columns that belong to the same example as an answer: its input and its reasoning. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nait.data.columns.hints.mappings.choices import Guess
from nait.data.columns.nested_texts import joined_path, joined_texts, name_words
from nait.data.field_names import INPUTS, REASONINGS, SWITCHES
from nait.data.row_errors import Row, value_at

_REASONING = {"reasoning", "thinking", "thought"}
"""Words in the name of a column with the reasoning before an answer."""
KNOWN_CONTEXTS = frozenset(
    {
        "knowledge",
        "passage",
        "narrative",
        "story",
        "paragraph",
        "context",
        "excerpt",
        "background",
        "scenario",
    }
)
"""Last words of columns that are a part of the question wherever they occur next to it, in the singular."""
_CONTEXTS = KNOWN_CONTEXTS | {
    "text", "code", "table", "fact", "transcript", "schema", "premise", "lecture", "dialogue", "abstract", "report",
    "review", "evidence", "ocr", "sentence", "theory", "quote",
}  # fmt: skip
"""Last words of columns that may be a part of the question, in the singular."""
_PREDICTED = {"predicted", "prediction", "generated", "answer", "response", "output", "completion"}
_SEEN_ROWS, _SHORT = 50, 20
"""First rows that are compared; the length from which an answer inside a text shows that it is not a context."""


def listed_input(row: Row, mapping: Guess) -> str:
    """Path of the texts in an input column that is a list or an object and is not read otherwise; "" without one."""
    for field in ("completion", "prompt"):
        if beside := input_beside(row, str(mapping[field]), mapping):
            return beside
    read = {str(path).split(".")[0] for path in mapping.values()}
    for name, value in row.items():
        if name.casefold() in (*INPUTS, "full_text") and name not in read and isinstance(value, (list, dict)):
            path = joined_path(value)
            if path is not None and joined_texts(value_at(row, name + path)) is not None:
                return name + path
    outputs, inputs = str(mapping["completion"]).split(".")[0], row.get("inputs")
    if isinstance(inputs, list) and isinstance(row.get(outputs), list) and len(inputs) == len(row[outputs]):
        return "inputs.0" if "inputs" not in read and isinstance(inputs[:1], list) and inputs else ""
    return ""


def input_beside(row: Row, path: str, mapping: Guess) -> str:
    """Path of an input text in an object around a question or answer (Self-Instruct's `instances`, SQuAD's)."""
    steps = path.split(".")
    for i in range(len(steps) - 1, 0, -1):
        around = value_at(row, ".".join(steps[:i]))
        for name, one in around.items() if isinstance(around, dict) else ():
            beside = ".".join([*steps[:i], name])
            if name in INPUTS and isinstance(one, str) and beside not in mapping.values():
                return beside
    return ""


def context_beside(
    rows: Sequence[Row],
    read: Collection[str],
    question: str,
    answer: str,
    known: Collection[str] = frozenset(),
) -> str:
    """Path of a text next to a question that may be a part of it; "" without one.

    Its column has a name of a context (one of `known`, if given), and its texts neither repeat the question nor hold
    or are the answer.
    """
    first = rows[0] if rows else {}
    for name in first:
        words = [word for word in name_words(name) if not word.isdigit() and word not in ("list", "array")]
        if name in read or not words or _PREDICTED & {*words} or words[-1] not in (known or _CONTEXTS):
            continue
        path = name if isinstance(first[name], str) else f"{name}{joined_path(first[name])}"
        if all(_is_context(row, path, question, answer) for row in rows[:_SEEN_ROWS]):
            return path
    return ""


def _is_context(row: Row, path: str, question: str, answer: str) -> bool:
    value = value_at(row, path)
    text = value if isinstance(value, str) else joined_texts(value)
    asked, answered = str(value_at(row, question) or "").strip(), str(value_at(row, answer) or "").strip()
    if not text or not text.strip() or asked in text:
        return False
    return text.strip() not in answered and (len(answered) < _SHORT or answered not in text)


def reasoning_beside(row: Row, mapping: Mapping[str, str | Sequence[str]]) -> str:
    """Column with the reasoning of the answer that a mapping reads; "" without one.

    Of several, the one whose name begins like the answer's. A column with a usual name is read without a mapping.
    """
    read = {str(path).split(".")[0] for path in mapping.values()}
    found = [
        name
        for name, one in row.items()
        if name not in read and _is_reasoning(one) and _REASONING & {*name_words(name)}
    ]
    if "reasoning" in mapping or any(name.casefold() in REASONINGS for name in row):
        return ""
    first = name_words(str(mapping["completion"]))[:1]
    return next((name for name in found if name_words(name)[:1] == first), next(iter(found), ""))


def _is_reasoning(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.strip().casefold() not in SWITCHES
