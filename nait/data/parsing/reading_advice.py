"""Warnings on how rows are read: an answer or a context that no field uses, and answers that are JSON text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nait.data.columns.hints.mappings.companions import context_beside, reasoning_beside
from nait.data.columns.hints.omissions import only_text
from nait.data.columns.hints.row_hints import mapping_text
from nait.data.columns.layouts import Layout
from nait.data.columns.nested_texts import best_text_path, name_words
from nait.data.files.named_files import bare_name
from nait.data.row_errors import SHOWN_NAMES, Place, Row, RowError, is_empty, quoted, value_at

_ANSWERS = {
    "answer", "response", "output", "completion", "solution", "generation", "attempt", "rationale", "cot",
    "chosen", "revision",
}  # fmt: skip
"""Last words of columns that hold a longer answer to the same question, in the singular."""
_REVISED = {"corrected", "edited", "revised", "new", "revision", "refined", "improved"}
_EARLIER = {"orig", "original", "initial", "init", "draft", "old", "rejected"}
"""Words of a column with an answer before its revision."""
_GOLD = {"expected", "expected_output", "expected_response", "reference", "ground_truth", "ideal", "gold"}
"""Columns with the right answer, where another column holds a model's."""
_PAIRS = ("alpaca", "prompt_completion")


def reading_advice(layout: Layout, rows: Sequence[Row], group: str) -> list[str]:
    """Sentences that the log warns with: an answer or a context that no field reads, and JSON text."""
    paths = _unread_answers(layout, rows)
    return [
        *([_unread_advice(layout, paths, rows, group)] if paths else []),
        *_unread_options(layout, rows, group),
        *_unread_gold(layout, rows, group),
        *_unread_context(layout, rows, group),
        *_literal_json(layout, rows, group),
    ]


def _unread_options(layout: Layout, rows: Sequence[Row], group: str) -> list[str]:
    """Sentence for a column with options of a question that no field reads (DREAM's `choice`)."""
    if layout.format not in _PAIRS or layout.option_columns or layout.optional.get("options"):
        return []
    answer = list(layout.required.values())[1]
    for name, value in rows[0].items() if rows and "options" not in layout.assigned else ():
        texts = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
        named = name not in layout.columns and name_words(name)[-1:] in (["option"], ["choice"])
        if (
            named
            and len(texts) > 1
            and value_at(rows[0], answer) in [*texts, *(value if isinstance(value, dict) else ())]
        ):
            advised = f"{group}.columns={mapping_text({'options': name})} reads them"
            return [f"{quoted(name)} holds options of the question that are not read: {advised}"]
    return []


def _unread_gold(layout: Layout, rows: Sequence[Row], group: str) -> list[str]:
    """Sentence for a column with the expected answer, next to the answer of a model (evaluation logs)."""
    answer = list(layout.required)[-1]
    if (
        layout.format not in _PAIRS
        or layout.option_columns
        or layout.optional.get("options")
        or answer in layout.assigned
    ):
        return []
    column = layout.required[answer]
    for name in dict.fromkeys(name for row in rows for name in row if name not in layout.columns):
        held = [(row[name], value_at(row, column)) for row in rows if isinstance(row.get(name), str)]
        if name.casefold() not in _GOLD or not held or any(gold in str(read) for gold, read in held):
            continue
        mapping = mapping_text({answer: name})
        return [f"{quoted(name)} is not read: if it is the right answer, {group}.columns={mapping} reads it"]
    return []


def _unread_context(layout: Layout, rows: Sequence[Row], group: str) -> list[str]:
    """Sentence for a column that may be a part of the question (CRUXEval's `code`, LogiQA's `text`)."""
    if layout.format not in _PAIRS or layout.optional.get("input") or "input" in layout.assigned:
        return []
    question, answer = layout.required.values()
    path = context_beside(rows, layout.columns, question, answer)
    if not path:
        return []
    column = path.split(".")[0]
    if any(isinstance(row.get(column), dict) for row in rows):
        return [
            f"{quoted(column)} is not read: if it is a part of the question, write it as text into 'input'"
        ]
    mapping = {name: column for name, column in layout.required.items() if name in layout.assigned}
    name, what = ("input", "input") if _is_plain(rows, question) else ("system", "system text")
    advised = f"{group}.columns={mapping_text({**mapping, name: path})} reads it as the {what}"
    return [f"{quoted(column)} is not read: if it is a part of the question, {advised}"]


def _is_plain(rows: Sequence[Row], question: str) -> bool:
    """Whether the question is a text rather than a conversation."""
    return not any(isinstance(value_at(row, question), (list, dict)) for row in rows)


def _literal_json(layout: Layout, rows: Sequence[Row], group: str) -> list[str]:
    """Sentence for each question or answer column whose values are all one text as JSON text (Label Studio's CSV)."""
    advice = []
    for name, column in layout.required.items() if layout.format in _PAIRS else ():
        held = [value for row in rows if not is_empty(value := value_at(row, column))]
        path = only_text(held[0]) if held else ""
        if path and all(only_text(one) == path for one in held):
            mapping = mapping_text({**layout.required, name: column + path})
            advice.append(
                f"{quoted(column)} holds JSON text, which is read literally: {group}.columns={mapping} reads the "
                "text in it"
            )
    return advice


def _unread_answers(layout: Layout, rows: Sequence[Row]) -> list[str]:
    """Unread columns, or paths of their first item, that hold a longer or a corrected answer in these rows.

    Rows with options have a label as the answer and are left out.
    """
    if layout.format not in _PAIRS or layout.option_columns or layout.optional.get("options"):
        return []
    answer = list(layout.required)[1]
    if answer in layout.assigned:
        return []
    read = _length(rows, layout.required[answer])
    names = dict.fromkeys(name for row in rows for name in row if name not in layout.columns)
    found = []
    for name in names:
        words = [word for word in name_words(name) if not word.isdigit()]
        if not words or words[-1] not in _ANSWERS or _EARLIER & {*words}:
            continue
        first = next((one for row in rows if isinstance(one := row.get(name), list) and one), None)
        path = name if first is None else f"{name}{best_text_path(first) or '.0'}"
        length = _length(rows, path)
        if length > read or (length and _REVISED & {*words}):
            found.append(path)
    return found


def _unread_advice(layout: Layout, paths: Sequence[str], rows: Sequence[Row], group: str) -> str:
    """Sentence that names the answer that is read, the others, and the mapping that reads the first of those."""
    answer = list(layout.required)[1]
    others = ", ".join(map(quoted, paths[:SHOWN_NAMES]))
    mapping = {answer: paths[0]}
    trace = next((one for row in rows if (one := reasoning_beside(row, {"completion": paths[0]}))), "")
    if trace and not layout.optional.get("reasoning"):
        mapping["reasoning"] = trace
    return (
        f"the answer is read from {quoted(layout.required[answer])}, but {others} may hold a better one: "
        f"{group}.columns={mapping_text(mapping)} reads it"
    )


def _length(rows: Sequence[Row], path: str) -> int:
    """Characters of the texts at a path in these rows."""
    return sum(len(text) for row in rows if isinstance(text := value_at(row, path), str))


def with_table_hint(error: RowError, head: Sequence[tuple[Place, Row]]) -> RowError:
    """The fault of rows that no layout fits; for CSV, the fix mentions the header line."""
    place, row = head[0]
    if bare_name(Path(place.file))[1] not in (".csv", ".tsv"):
        return error
    note = "The first line is read as column names: if it is a row, add a line of names above it"
    if next(iter(row), "").startswith("#"):
        note = "Lines that begin with # are not read as comments: replace those at the top by a line of column names"
    return RowError(error.what, column=error.column, at=error.at, fix=f"{error.fix}. {note}")
