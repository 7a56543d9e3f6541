"""Columns that belong to the same example as an answer: its input and its reasoning. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nait.data.columns.hints.choices import Guess
from nait.data.columns.nested_texts import joined_path, joined_texts, name_words
from nait.data.field_names import INPUTS, REASONINGS
from nait.data.row_errors import Row, value_at

_REASONING = {"reasoning", "thinking", "thought"}
"""Words in the name of a column with the reasoning before an answer."""


def listed_input(row: Row, mapping: Guess) -> str:
    """Path of the texts in an input column that is a list or an object and is not read otherwise; "" without one."""
    if beside := input_beside(row, str(mapping["completion"])):
        return beside
    read = {str(path).split(".")[0] for path in mapping.values()}
    for name, value in row.items():
        if name.casefold() in INPUTS and name not in read and isinstance(value, (list, dict)):
            path = joined_path(value)
            if path is not None and joined_texts(value_at(row, name + path)) is not None:
                return name + path
    return ""


def input_beside(row: Row, completion: str) -> str:
    """Path of an input text in an object around the answer (Self-Instruct's `instances`, SQuAD's `paragraphs`)."""
    steps = completion.split(".")
    for i in range(len(steps) - 1, 0, -1):
        around = value_at(row, ".".join(steps[:i]))
        name = next((name for name in around if name in INPUTS), "") if isinstance(around, dict) else ""
        if name and isinstance(around[name], str):
            return ".".join([*steps[:i], name])
    return ""


def reasoning_beside(row: Row, mapping: Mapping[str, str | Sequence[str]]) -> str:
    """Column with the reasoning of the answer that a mapping reads; "" without one.

    Of several, the one whose name begins like the answer's. A column with a usual name is read without a mapping.
    """
    read = {str(path).split(".")[0] for path in mapping.values()}
    found = [
        name
        for name, one in row.items()
        if name not in read and isinstance(one, str) and one.strip() and _REASONING & {*name_words(name)}
    ]
    if "reasoning" in mapping or any(name.casefold() in REASONINGS for name in row):
        return ""
    first = name_words(str(mapping["completion"]))[:1]
    return next((name for name in found if name_words(name)[:1] == first), next(iter(found), ""))
