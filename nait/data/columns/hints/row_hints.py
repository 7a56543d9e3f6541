"""Sentences about a row that no layout fits: what it is and what to write instead. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nait.data.chat.marks import KNOWN, first_markers
from nait.data.columns.hints.mappings.choices import holds_options
from nait.data.columns.hints.mappings.guesses import guess_mapping
from nait.data.columns.hints.missing_answers import is_reply, is_request, retrieval, unanswered
from nait.data.columns.hints.row_shapes import (
    has_tools,
    is_annotation,
    is_message,
    is_question_object,
    is_regenerated,
    is_tree,
    is_turn_object,
    joined_steps,
    numbered_turns,
    scored_options,
    segments_column,
    step_labels,
    token_labels,
    verdict_column,
)
from nait.data.columns.nested_texts import is_metadata, text_paths
from nait.data.field_names import TEXT_COLUMNS
from nait.data.row_errors import SHOWN_NAMES, Row, quoted, value_at

_PLAIN = re.compile(r"[\w .-]*\w")
_SEPARATOR = re.compile(r"\w+([^\w\s.-])\w+(?:\1\w+)*")
_CHOSEN = (
    "jq -c '{messages: [.messages[] | .versions[.currentlySelected] | {role, content: ([(.content, (.steps[]? | "
    "select(.style == null) | .content)) | .[]? | .text // empty] | add)}]}'"
)
_YAML_SCALAR = re.compile(r"[+-]?[0-9._]+|null|none|true|false|nan|inf", re.IGNORECASE)


def hint(row: Row) -> str:
    """Sentence that identifies a row which is not an example; "" when nothing is recognised."""
    if is_message(row):
        return (
            "Each row is one message: write one conversation per row, "
            "{messages: [{role: user, content: ...}, {role: assistant, content: ...}]}. "
        )
    if is_regenerated(row):
        return f"Each row is one message with its versions (LM Studio): write the chosen ones, as with {_CHOSEN}. "
    if documents := retrieval(row):
        return (
            f"It is retrieval data: {quoted(documents)} holds documents to be found, not answers. Write one row per "
            "question, {question: ..., answer: ...}. "
        )
    if is_tree(row):
        return "Each row is a tree of messages: write one path through it per row, {messages: [...]}. "
    if is_turn_object(row):
        return "The turns are an object: write them as a list, {messages: [...]}. "
    if turns := numbered_turns(row):
        return _numbered_turns(turns)
    if is_question_object(row):
        return (
            "Each key is a question: write one row per question, {question: ..., answer: ...}, such as with "
            "jq 'to_entries | map({question: .key, answer: .value})'. "
        )
    if scores := scored_options(row):
        return (
            f"{quoted(scores)} has a score for each option: write the option with the highest one as the answer, "
            "{question: ..., answer: ...}. "
        )
    if labels := token_labels(row):
        return (
            f"{quoted(labels)} labels parts of a text: write the answer as text, "
            "{prompt: ..., completion: ...}. "
        )
    if labels := step_labels(row):
        return (
            f"{quoted(labels)} marks the steps of a solution as right or wrong: join the steps of a right "
            f"solution, without the marks, and write {{prompt: ..., completion: ...}}{joined_steps(row, labels)}. "
        )
    if segments := segments_column(row):
        parts = f"([.{segments}[] | select(.label{{}}).text] | add)"
        filter = f"{{prompt: {parts.format(' | not')}, completion: {parts.format('')}}}"
        return (
            f"{quoted(segments)} holds segments of a text, some of them trained: write prompt and completion without "
            f"the markers of a template, such as with jq -c '{filter}' if each row has one answer. "
        )
    if is_reply(row):
        return (
            "It is the response to a request of another file: join the two by 'custom_id', and write "
            "{messages: [...]} with the request's messages and the answer. "
        )
    if is_request(row):
        return (
            "It is a request without its answer, which is in another file: join the two by 'custom_id', and write "
            "{messages: [...]} with the request's messages and the answer. "
        )
    if is_annotation(row):
        return (
            "It is an annotated item with the labels of its projects: write one row {prompt: ..., completion: ...} "
            "per item. "
        )
    if "safeHtmlItem" in row:
        return (
            "It is an activity of Gemini: its title begins with a word such as 'Prompted', and its answer is HTML; "
            "both are read as written. "
        )
    if verdict := verdict_column(row):
        return f"{quoted(verdict)} is an annotator's verdict ({row[verdict]}), not an answer. "
    if any(isinstance(one, str) and one.lstrip()[:3] in ("[{'", "{'") for one in row.values()):
        return "A list is a Python literal: write it with json.dumps. "
    mark = _SEPARATOR.fullmatch(next(iter(row))) if len(row) == 1 else None
    if mark:
        return f"If '{mark[1]}' separates columns, set data.separator='{mark[1]}'. "
    if (options := holds_options(row)) and guess_mapping(row) is None:
        return f"{quoted(options)} holds options: as completion, name the column that chooses one. "
    unknown = _unknown_turns(row) if guess_mapping(row) is None else ""
    if unknown:
        return unknown
    if asked := unanswered(row):
        return f"{quoted(asked)} is a question without an answer: add a column with its answer. "
    if _is_one_text(row) and guess_mapping(row) is None:
        return (
            "Each row is one text, without the role markers of a transcript "
            f"({KNOWN}): add such markers, or write {{instruction, output}}. "
        )
    if "text" in (guess_mapping(row) or {}):
        return _transcript(row)
    return "It has tools, which are not supported. " if has_tools(row) else ""


def _numbered_turns(names: Sequence[str]) -> str:
    """Sentence about columns with one message each, with a filter that joins all of a row in order."""
    stems = "|".join(dict.fromkeys(re.sub("[0-9]+$", "", name) for name in names))
    filter = f'{{messages: [to_entries[] | select(.key | test("^({stems})[0-9]+$")).value | values]}}'
    such_as = f", such as with jq -c '{filter}'" if re.fullmatch(r"[\w|]+", stems) else ""
    return (
        f"{quoted(names[0])} to {quoted(names[-1])} are one message each: write them as one list{such_as}. "
    )


def _is_one_text(row: Row) -> bool:
    """Whether a row holds one text, and at most metadata next to it (a web page and its address)."""
    texts = [
        name for name, one in row.items() if isinstance(one, str) and (len(row) == 1 or not is_metadata(name))
    ]
    nested = any(isinstance(one, (list, dict)) for one in row.values())
    return len(texts) == 1 and not nested and (len(row) == 1 or texts[0].casefold() in TEXT_COLUMNS)


def _transcript(row: Row) -> str:
    """Sentence that names the column of a transcript and its role markers."""
    path = str((guess_mapping(row) or {})["text"])
    return f"'{path}' is a transcript with the markers {first_markers(str(value_at(row, path)))}. "


def _unknown_turns(row: Row) -> str:
    """Sentence about a list of objects in no known message notation; "" without one."""
    for name, value in list(row.items())[:SHOWN_NAMES]:
        if isinstance(value, list) and value and isinstance(value[0], dict) and any(text_paths(value[0])):
            keys = ", ".join(map(quoted, list(value[0])[:SHOWN_NAMES]))
            return (
                f"{quoted(name)} holds objects with {keys}: if they are messages, write {{role, content}}. "
            )
    return ""


def mapping_text(mapping: Mapping[str, str | Sequence[str] | None]) -> str:
    """Mapping as typed on the command line; names with special characters are quoted."""

    def typed(column: str | Sequence[str] | None) -> str:
        if column is None:
            return "null"
        if isinstance(column, str):
            return _yaml_quoted(column)
        return "[" + ", ".join(map(_yaml_quoted, column)) + "]"

    return "{" + ", ".join(f"{name}: {typed(column)}" for name, column in mapping.items()) + "}"


def _yaml_quoted(column: str) -> str:
    if _PLAIN.fullmatch(column) and column == column.strip() and not _YAML_SCALAR.fullmatch(column):
        return column
    return '"' + column.replace("\\", "\\\\").replace('"', '\\"') + '"'
