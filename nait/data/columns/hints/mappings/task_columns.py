"""Column names of tasks whose question or answer has a name of its own: code, SQL, pairs of sentences. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from nait.data.columns.nested_texts import is_metadata
from nait.data.field_names import INPUTS, QUESTION_WORDS, REJECTED
from nait.data.row_errors import Row, value_at

_TASKS = (
    ("premise", "hypothesis", "label"),
    ("sentence1", "sentence2", "label"),
    ("question1", "question2", "label"),
    ("text1", "text2", "label"),
    ("sentence1", "sentence2", "score"),
    ("text1", "text2", "score"),
    ("front", "", "back"),
    ("claim", "main_text", "label"),
    ("claim", "evidence", "label"),
    ("claim", "", "label"),
    ("statement", "", "label"),
    ("text", "", "annotation"),
    ("problem_statement", "", "patch"),
    ("message", "old_contents", "new_contents"),
    ("instruction", "old_contents", "new_contents"),
    ("sql_prompt", "sql_context", "sql"),
    ("question", "evidence", "sql"),
    ("question", "", "sql"),
    ("question", "", "sql.human_readable"),
    ("question", "", "query"),
    ("ambiguous_question", "", "annotations.0.long_answer"),
    ("title", "", "safehtmlitem.0.html"),
    ("source", "", "target"),
    ("src", "", "tgt"),
    ("src", "", "trg"),
    ("src", "", "mt"),
    ("intent", "", "snippet"),
    ("docstring", "", "code"),
    ("func_documentation_string", "", "func_code_string"),
    ("description", "", "solutions.solution.0"),
    ("description", "", "solution"),
    ("prompt", "", "editorial"),
    ("description", "", "code"),
)
"""Columns of question, input and answer."""
_BETTER = (
    ("winner", "loser"),
    ("positive", "negative"),
    ("good", "bad"),
    ("better", "worse"),
    ("win", "lose"),
)
_LAST = re.compile(r"(?:_|(?<=[a-z]))([A-Ea-e0-9])$")
_POSTS = ("history", "context", "post", "title")


def guess_task(row: Row) -> Mapping[str, str] | None:
    """Mapping of a task's columns, or of a post with answers A and B; None for any other row."""
    names = {name.casefold(): name for name in row}
    for question, given, answer in _TASKS:
        first, *path = answer.split(".")
        if question not in names or first not in names or (given and given not in names):
            continue
        column = ".".join([names[first], *path])
        if not _is_text(row[names[question]]) or not isinstance(value_at(row, column), (str, int, float)):
            continue
        mapping = {"prompt": names[question], **({"input": names[given]} if given else {})}
        return {**mapping, "completion": column}
    return (
        _preferred(row, names)
        or _speakers(row)
        or _annotated(row)
        or _labelled(row)
        or _asserted(row)
        or _alternatives(row, names)
    )


def _preferred(row: Row, names: Mapping[str, str]) -> Mapping[str, str] | None:
    """A prompt and the better of two answers, next to the worse one."""
    for good, bad in _BETTER:
        if {"prompt", good, bad} <= {*names} and all(
            _is_text(row[names[one]]) for one in ("prompt", good, bad)
        ):
            return {"prompt": names["prompt"], "completion": names[good]}
    return None


def _alternatives(row: Row, names: Mapping[str, str]) -> Mapping[str, str] | None:
    """A post and the first of several answers whose names differ by a letter or number."""
    post = next((names[name] for name in _POSTS if name in names and _is_text(row[names[name]])), None)
    texts = [
        name
        for name, one in row.items()
        if _is_text(one) and name != post and "id" not in name.casefold().split("_")
    ]
    stems = [_LAST.sub("", name) for name in texts]
    found = [name for name, stem in zip(texts, stems, strict=True) if stem != name and stems.count(stem) > 1]
    usable = [name for name in found if not any(word in name.casefold() for word in REJECTED)]
    if post is None or not usable or len({_LAST.sub("", name) for name in usable}) > 1:
        return None
    return {"prompt": post, "completion": usable[0]}


def _speakers(row: Row) -> Mapping[str, str] | None:
    """Turns as an object with one list of texts and one of speakers."""
    for column, value in row.items():
        if not isinstance(value, dict) or not isinstance(value.get("speaker"), list):
            continue
        for name, texts in value.items():
            lengths = isinstance(texts, list) and len(texts) == len(value["speaker"]) > 1
            if lengths and name in ("utterance", "utterances", "text", "texts"):
                return {"messages": f"{column}.{name}", "speakers": f"{column}.speaker"}
    return None


def _labelled(row: Row) -> Mapping[str, str] | None:
    """The only text of a row, and the first of its labels (doccano)."""
    texts = [name for name, one in row.items() if _is_text(one) and not is_metadata(name)]
    label = next(
        (
            name
            for name in row
            if name.casefold() in ("label", "labels") and _is_class(value_at(row, f"{name}.0"))
        ),
        "",
    )
    return {"prompt": texts[0], "completion": f"{label}.0"} if label and len(texts) == 1 else None


def _asserted(row: Row) -> Mapping[str, str] | None:
    """The only variable of a test case, and the value that its first assertion expects (promptfoo)."""
    held = row.get("vars")
    texts = [name for name, one in held.items() if _is_text(one)] if isinstance(held, dict) else []
    asked = next((name for name in texts if name in QUESTION_WORDS), texts[0] if len(texts) == 1 else "")
    given = next((name for name in texts if name in INPUTS and name != asked), "")
    if not asked or not _is_text(value_at(row, "assert.0.value")):
        return None
    mapping = {"prompt": f"vars.{asked}", **({"input": f"vars.{given}"} if given else {})}
    return {**mapping, "completion": "assert.0.value"}


def _annotated(row: Row) -> Mapping[str, str] | None:
    """The text of an annotated item, and the class chosen or the text written for it (Label Studio)."""
    result = "annotations.0.result.0.value"
    chosen = next(
        (f"{result}.{one}.0" for one in ("choices", "text") if value_at(row, f"{result}.{one}.0")), ""
    )
    data = row.get("data")
    texts = [name for name, one in data.items() if _is_text(one)] if isinstance(data, dict) else []
    return (
        {"prompt": f"data.{texts[0]}", "completion": chosen}
        if texts and _is_text(value_at(row, chosen))
        else None
    )


def _is_class(value: object) -> bool:
    return _is_text(value) or (isinstance(value, int) and not isinstance(value, bool))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
