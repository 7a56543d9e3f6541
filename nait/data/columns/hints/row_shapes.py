"""Shapes of rows that are not examples: messages, trees, annotations, API items, questions as keys. Pure."""

from __future__ import annotations

import re

from nait.data.chat.roles import ROLES
from nait.data.columns.hints.missing_answers import is_reply, is_request, retrieval
from nait.data.columns.path_steps import parsed
from nait.data.field_names import TOOLS
from nait.data.row_errors import SHOWN_NAMES, Row, is_empty

_VERDICTS = {"accept", "reject", "ignore"}
_ITEM_TYPES = {
    "message",
    "reasoning",
    "function_call",
    "function_call_output",
    "web_search_call",
    "file_search_call",
}
_SENDERS = {
    "from",
    "sender",
    "author",
    "user",
    "username",
    "speaker",
    "speaker_idx",
    "speaker_id",
    "author_id",
}
_BODIES = {"text", "content", "body", "message", "utterance"}
_THREADS = {
    "ts", "thread_ts", "thread_id", "to", "in_reply_to", "reply_to", "parent_id", "conv_id", "conversation_id",
    "dialogue_id", "utterance_idx", "turn", "timestamp", "date", "channel", "channel_id", "ticket_id", "conversation",
    "thread", "time",
}  # fmt: skip
"""Names of a message's sender, its text, and its place in a thread (chat, mail, tickets)."""
_MESSAGE_WORDS = ("message", "msg", "turn", "utterance")
_TURNS = ("", "turn", "round", "message", "msg", "dialog", "dialogue", "exchange", "utterance")
_NUMBER = re.compile(r"[_ -]?[0-9]{1,3}$")
_QUESTION_WORDS = 4
"""The fewest words of a key that is a question without a question mark."""


def must_be_rewritten(row: Row) -> bool:
    """Whether no column mapping can read the row, so that it must be rewritten."""
    shapes = (
        is_message, is_tree, is_turn_object, is_question_object, scored_options, token_labels, is_reply, step_labels,
        is_request, segments_column, is_regenerated, numbered_turns, retrieval,
    )  # fmt: skip
    return any(shape(row) for shape in shapes)


def step_labels(row: Row) -> str:
    """Column that marks the steps of a solution: PRM800K, Math-Shepherd's copy with + and -, TRL's lists; else ""."""
    if rated := _rated_steps(row):
        return rated
    label, text = row.get("label"), row.get("input")
    if isinstance(label, dict):
        return "label" if isinstance(label.get("steps"), list) else ""
    if not isinstance(label, str) or not isinstance(text, str):
        return ""
    lines = [line.rstrip() for line in label.splitlines() if line.strip()]
    marked = [line[:-1].rstrip() for line in lines if line.endswith((" +", " -"))]
    return "label" if marked and all(line in text for line in marked) else ""


def _rated_steps(row: Row) -> str:
    """Column with one flag or number per text of a list of steps; "" without one."""
    lists = [row[name] for name in ("completions", "steps") if isinstance(row.get(name), list)]
    for name in ("labels", "ratings"):
        marks = row.get(name)
        if not isinstance(marks, list) or not all(isinstance(one, (bool, int, float)) for one in marks):
            continue
        if any(
            len(steps) == len(marks) > 0 and all(isinstance(one, str) for one in steps) for steps in lists
        ):
            return name
    return ""


def joined_steps(row: Row, labels: str) -> str:
    """A filter that keeps rows whose flags are all true and joins their steps (TRL); "" for other rows."""
    prompt = next((name for name in ("prompt", "problem", "question") if isinstance(row.get(name), str)), "")
    flags = row[labels]
    if not prompt or not isinstance(row.get("completions"), list) or not isinstance(flags, list):
        return ""
    if not all(isinstance(one, bool) for one in flags):
        return ""
    joined = f'{{prompt: .{prompt}, completion: (.completions | join("\\n"))}}'
    return f", such as with jq -c 'select(.{labels} | all) | {joined}'"


def numbered_turns(row: Row) -> list[str]:
    """Three or more columns with one message each: message_1, message_2, ..., or user_1, assistant_1, user_2."""
    stems = {
        name: _NUMBER.sub("", name.casefold()) for name, one in row.items() if isinstance(one, str) and one
    }
    numbered = [name for name, stem in stems.items() if stem != name.casefold()]
    for known in (ROLES, *([word] for word in _MESSAGE_WORDS)):
        found = [name for name in numbered if stems[name] in known]
        if len(found) > 2 and (known is not ROLES or len({ROLES[stems[name]] for name in found}) > 1):
            return found
    return []


def is_message(row: Row) -> bool:
    """Whether a row is one message: a role and a text, or a sender, a text and its place in a thread."""
    if "role" in row and ("text" in row or "content" in row):
        return True
    names = {name.casefold() for name, one in row.items() if not isinstance(one, (list, dict))}
    return bool(names & _SENDERS) and bool(names & _BODIES) and bool(names & _THREADS)


def is_regenerated(row: Row) -> bool:
    """Whether a row is one message of a chat, with a list of versions, one of which is chosen (LM Studio)."""
    return isinstance(row.get("versions"), list) and "currentlySelected" in row


def scored_options(row: Row) -> str:
    """Column with a score per option: {text: number} (BIG-bench), or {choices, labels}; "" without one."""
    for name, one in list(row.items())[:SHOWN_NAMES]:
        if not isinstance(one, dict) or not one:
            continue
        if "scores" in name.casefold() and len(one) > 1 and all(map(_is_number, one.values())):
            return name
        choices, labels = one.get("choices"), one.get("labels")
        if isinstance(choices, list) and isinstance(labels, list) and all(map(_is_number, labels)):
            return name
    return ""


def token_labels(row: Row) -> str:
    """Column that labels tokens or spans of a text (named entities); "" without one."""
    for name, held in list(row.items())[:SHOWN_NAMES]:
        one = parsed(held)
        if not isinstance(one, list) or not one:
            continue
        if name.casefold().endswith("_tags") and isinstance(row.get("tokens"), list):
            return name
        if all(map(_is_span, one)):
            return name
    return ""


def _is_span(value: object) -> bool:
    """Whether a value labels a part of a text: {start, end}, or doccano's {start_offset, ...} or [0, 3, name]."""
    if isinstance(value, dict) and "speaker" not in value:
        start = value.get("start", value.get("start_offset"))
        return _is_number(start) and ("end" in value or "end_offset" in value)
    return isinstance(value, list) and len(value) == 3 and all(map(_is_number, value[:2]))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_tree(row: Row) -> bool:
    """Whether a row is a tree of messages: nested replies (OASST) or linked nodes (a ChatGPT export)."""
    for value in (row, *list(row.values())[:SHOWN_NAMES]):
        if not isinstance(value, dict):
            continue
        if isinstance(value.get("replies"), list):
            return True
        nodes = list(value.values())[:SHOWN_NAMES]
        if nodes and all(isinstance(node, dict) and "children" in node for node in nodes):
            return True
    return False


def is_turn_object(row: Row) -> bool:
    """Whether a column holds turns as an object, {turn_1: {...}, turn_2: {...}}."""
    return any(
        isinstance(value, dict) and bool(value) and all(_is_turn(key, one) for key, one in value.items())
        for value in list(row.values())[:SHOWN_NAMES]
    )


def _is_turn(key: str, value: object) -> bool:
    return isinstance(value, dict) and key[-1:].isdigit() and _NUMBER.sub("", key.casefold()) in _TURNS


def segments_column(row: Row) -> str:
    """Column with segments {label: true or false, text: ...}, some of them trained (Axolotl); "" without one."""
    return next((name for name, one in list(row.items())[:SHOWN_NAMES] if _are_segments(one)), "")


def _are_segments(value: object) -> bool:
    """Whether a value is a list of {label: true or false, text: ...}."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        return False
    return all(isinstance(one.get("label"), bool) and isinstance(one.get("text"), str) for one in value)


def has_tools(row: Row) -> bool:
    return any(not is_empty(row.get(name)) for name in TOOLS)


def verdict_column(row: Row) -> str:
    """Column with an annotator's verdict on the row (Prodigy's `answer: accept`); "" without one."""
    verdict = row.get("answer")
    return "answer" if isinstance(verdict, str) and verdict in _VERDICTS else ""


def is_item_list(value: object) -> bool:
    """Whether a value is a list of typed items (OpenAI's Responses API) that are not all messages."""
    if not isinstance(value, list) or not value or not all(isinstance(one, dict) for one in value):
        return False
    types = [one.get("type") for one in value]
    return all(isinstance(one, str) and one in _ITEM_TYPES for one in types) and set(types) != {"message"}


def item_advice(items: object, first: str, column: str) -> str:
    """Advice for a list of typed items: `first` and `column` hold prompt and answer."""
    kept = "Keep only its items of type message"
    found = (
        [i for i, one in enumerate(items) if one.get("type") == "message"] if isinstance(items, list) else []
    )
    if not found:
        return "Remove such rows: it has no message"
    if column == first:
        return kept
    mapping = f"data.columns={{prompt: {first}, completion: {column}.{found[-1]}}}"
    return f"{kept}, or set {mapping} if its answer is always item {found[-1]}"


def transcript_advice(text: str) -> str:
    """Advice for a transcript whose roles do not alternate because of channels or code fences; "" for any other."""
    if "<|channel|>" in text:
        return (
            "Its analysis channel is reasoning: write {messages: [{role, content, thinking}]}, with the analysis as "
            "thinking and the final channel as content"
        )
    if "```" in text:
        return "Role markers inside a code fence may be read as messages: write {messages: [{role, content}]}"
    return ""


def is_annotation(row: Row) -> bool:
    """Whether a row is an annotated item with the labels of several projects (Labelbox)."""
    item = row.get("data_row")
    return isinstance(item, dict) and isinstance(row.get("projects"), dict)


def is_question_object(row: Row) -> bool:
    """Whether every key is a question and every value a text: one object of question -> answer."""
    return len(row) > 1 and all(
        isinstance(one, str) and (name.rstrip().endswith("?") or len(name.split()) > _QUESTION_WORDS)
        for name, one in row.items()
    )
