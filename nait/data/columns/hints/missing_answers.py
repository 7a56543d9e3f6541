"""Rows without answers: prompts alone, requests whose answers are in another file, retrieval data. Pure."""

from __future__ import annotations

from nait.data.chat.messages import speaker_roles
from nait.data.chat.roles import ASSISTANT
from nait.data.columns.nested_texts import is_metadata, name_words
from nait.data.field_names import ANSWER_NAMES, ASKED
from nait.data.row_errors import Row, is_empty

_COLLECTIONS = ("corpus", "documents", "docs", "passages")
_QUERIES = ("query", "queries", "anchor", "question", "sentence", "text", "premise")
_POSITIVES = (
    "positive",
    "pos",
    "positives",
    "positive_passages",
    "positive_ctxs",
    "pos_docs",
    "positive_doc",
)


def is_reply(row: Row) -> bool:
    """Whether a row is the response of a batch of requests, which are in another file (OpenAI, Anthropic)."""
    return "custom_id" in row and any(isinstance(row.get(name), dict) for name in ("response", "result"))


def is_request(row: Row) -> bool:
    """Whether a row is a request of a batch, whose answer is in another file (OpenAI, Anthropic)."""
    body = row.get("body", row.get("params"))
    asked = body.get("messages") if isinstance(body, dict) and "choices" not in body else None
    return "custom_id" in row and bool(asked) and ASSISTANT not in speaker_roles(asked)


def retrieval(row: Row) -> str:
    """Column with the documents of retrieval data: a collection next to queries, or positives of a query; else ""."""
    names = {name.casefold(): name for name in row}
    if isinstance(row.get(names.get("queries", "")), dict):
        found = next(
            (names[one] for one in _COLLECTIONS if isinstance(row.get(names.get(one, "")), dict)), ""
        )
        if found:
            return found
    if not any(one in names for one in _QUERIES) or any(name_words(name)[-1:] == ["answer"] for name in row):
        return ""
    return next((names[one] for one in _POSITIVES if one in names and not is_empty(row[names[one]])), "")


def unanswered(row: Row) -> str:
    """The question of a row that has nothing else but metadata (`prompt` and `category`); "" for any other row."""
    texts = [
        name
        for name, one in row.items()
        if isinstance(one, (str, list, dict)) and not is_empty(one) and not is_metadata(name)
    ]
    numbers = [name for name in row if name not in texts and name.casefold() in ANSWER_NAMES]
    asked = len(texts) == 1 and not numbers and isinstance(row[texts[0]], str)
    return texts[0] if asked and name_words(texts[0])[-1:] in [[word] for word in ASKED] else ""
