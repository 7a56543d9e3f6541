"""Paths of the texts of a row, and the words in their names that tell a question from an answer. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nait.data.columns.nested_texts import is_metadata, name_words, text_paths
from nait.data.field_names import ANSWER_WORDS, ASKED, INPUTS, OPTIONS
from nait.data.row_errors import Row, value_at

DEPTH = 8
"""Levels of a row that are searched for texts."""
_LONGEST_NAME = 4
_ANSWERED = {"summary", "answer", "response", "solution", "completion"}
_LABELS = {"label", "speaker", "role", "tag", "name"}


def named_texts(columns: Row) -> Iterator[str]:
    """Paths of the texts that are neither blank nor metadata nor labels; lists contribute their first item only."""
    paths = (name + path for name, value in columns.items() for path in text_paths(value, depth=DEPTH))
    return (
        path
        for path in paths
        if not is_metadata(path) and not _is_labels(path) and str(value_at(columns, path) or "").strip()
    )


def asks(path: str) -> bool:
    """Whether the last word of a column is a question's, as in `ambiguous_question`."""
    return name_words(path)[-1:] in [[word] for word in ASKED]


def answers(path: str) -> bool:
    """Whether the words of a name are an answer's and none is a question's, as in `summary_text`."""
    words = {*name_words(path.split(".")[-1])}
    return bool(words & _ANSWERED) and not words & {*ASKED}


def _is_labels(path: str) -> bool:
    """Whether a path leads to an item of a list of labels, speakers, roles or options."""
    *names, last = _names(path)
    held = names[-1] if last.isdigit() and names else ""
    return held.removesuffix("s") in _LABELS or held in OPTIONS


def first_named(paths: Sequence[str], known: Sequence[str]) -> str | None:
    """First path with one of these words as a name, in order of the words; else with the word inside a name."""
    for cut in (_names, _singular_names, name_words):
        for word in known:
            found = next((path for path in paths if word in cut(path)), None)
            if found:
                return found
    return None


def _singular_names(path: str) -> list[str]:
    return [f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s") for name in _names(path)]


def inside_answer(path: str) -> bool:
    """Whether a path leads into an object with an answer name."""
    return any(name in ANSWER_WORDS for name in [*_names(path)[:-1], *_singular_names(path)[:-1]])


def inside_input(path: str) -> bool:
    """Whether a path leads into an object with an input name."""
    names = _names(path)
    return len(names) > 1 and names[0] in INPUTS and names[0] not in ("input", "paragraphs")


def is_name(path: str) -> bool:
    """Whether a text looks like a column name rather than a cell (a question, a number, a sentence)."""
    return "?" not in path and not path[:1].isdigit() and len(path.split()) <= _LONGEST_NAME


def _names(path: str) -> list[str]:
    return path.casefold().replace(" ", "_").split(".")
