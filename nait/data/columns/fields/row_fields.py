"""Fields of a row other than question and answer: transcript, input, system text and subtask. Pure."""

from __future__ import annotations

import sys
from typing import Any

from nait.data.chat.conversations import Dialogue
from nait.data.chat.messages import text_and_reasoning
from nait.data.chat.reasoning import Handling
from nait.data.chat.transcripts import read_transcript
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.columns.hints.row_shapes import transcript_advice
from nait.data.columns.nested_texts import joined_path, joined_texts
from nait.data.row_errors import Row, RowError, checked_text, is_missing, kind, optional_text, value_at


def transcript(text: str, column: str, handling: Handling) -> Dialogue:
    """Turns of a transcript. Where `turns=mend` would join reasoning or quoted text, the error advises otherwise."""
    try:
        return read_transcript(text, column, handling)
    except RowError as error:
        fix = transcript_advice(text) if "turns=mend" in error.fix else ""
        if not fix:
            raise
        raise RowError(error.what, column=error.column, at=error.at, fix=fix) from None


def system_text(row: Row, column: str | None) -> str:
    """System text, which may also be a message or a list of text parts."""
    value = value_at(row, column) if column else None
    if joined := joined_texts(value):
        return checked_text(joined, column or "")
    if isinstance(value, (dict, list)) and value:
        return text_and_reasoning(value, column or "", "")[0]
    return optional_text(row, column)


def input_text(row: Row, column: str | None, *, assigned: bool) -> str:
    """Input of a question; the texts of a list are joined by blank lines. `assigned`: the user named the column.

    Raises: RowError with the path of the texts in a value that is not a list of texts.
    """
    value = value_at(row, column)
    joined = joined_texts(value)
    if joined is not None:
        return checked_text(joined, column or "")
    try:
        return optional_text(row, column)
    except RowError as error:
        path = None if error.at else joined_path(value)
        ways = ["Write it as text"]
        if path is not None:
            texts = value_at(row, f"{column}{path}")
            reads = "joins its texts" if isinstance(texts, list) and len(texts) > 1 else "reads its text"
            ways.append(f"set data.columns={mapping_text({'input': f'{column}{path}'})}, which {reads}")
        if not assigned:
            ways.append("set data.columns={input: null}")
        raise RowError(error.what, column=error.column, at=error.at, fix=", or ".join(ways)) from None


def subtask_text(row: Row, column: str | None) -> str:
    """Subtask of the row; a number becomes its digits. Strings are interned to save memory."""
    value: Any = value_at(row, column) if column else None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not is_missing(value) and not isinstance(value, str):
        fix = "Write it as text, or set data.columns={subtask: null}"
        raise RowError(f"is {kind(value)}, not text", column=column or "", fix=fix)
    return sys.intern(optional_text(row, column))
