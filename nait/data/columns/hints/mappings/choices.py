"""Guesses for multiple-choice rows: the options, the column that chooses one, and the question. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from nait.data.columns.nested_texts import name_words
from nait.data.field_names import OPTIONS, QUESTION_WORDS, REJECTED
from nait.data.row_errors import Row, quoted

Guess = Mapping[str, str | Sequence[str]]
"""A guessed mapping: field -> column; several columns for the options."""

_CHOOSERS = (
    "label", "answer", "answer_index", "answer_idx", "correct", "correct_index", "correct_answer", "gold",
    "gold_index", "gold_label", "correct_option", "target", "answerkey", "answer_key", "solution", "answer_num",
    "correct_answer_num", "correct_answer_index", "correct_choice", "correct_label", "answer_label", "answer_number",
    "correct_answer_id", "correct_option_id", "correct_choice_id",
)  # fmt: skip
_STEMS = ("answer", "ending", "choice", "option", "candidate", "solution", "sol", "hypothesis", "alternative")
_LISTS = (*OPTIONS, "option_list", "answers", "candidates", "alternatives", "responses", "solutions")
_QUESTIONS = (*QUESTION_WORDS, "goal", "ctx", "startphrase", "sent1", "premise", "sentence", "stem", "obs1")
_WORDS = [[word] for word in QUESTION_WORDS]
_WRONG = (*REJECTED, "distractor")
_END = re.compile(r"(?:[_ -]?[0-9]|[_ -][A-Ea-e]|(?<=[a-z])[A-E])$")


def guess_choices(row: Row) -> Guess | None:
    """Mapping of a multiple-choice row; its completion is the column that holds an option's index or label."""
    options = _option_columns(row) or _option_list(row)
    if not options:
        return _nested_choices(row)
    count = len(row[options]) if isinstance(options, str) else len(options)
    chooser = next((name for name in row if _chooses(name, row[name], count) and name not in options), None)
    if chooser is None:
        return None
    taken = {chooser, *([options] if isinstance(options, str) else options)}
    texts = {name.casefold(): name for name, one in row.items() if isinstance(one, str) and name not in taken}
    question = next((texts[name] for name in _QUESTIONS if name in texts), None)
    question = question or next((texts[name] for name in texts if name_words(name)[-1:] in _WORDS), None)
    if question is None:
        return None
    given = {"input": texts["premise"]} if "premise" in texts and question != texts["premise"] else {}
    return {"prompt": question, **given, "completion": chooser, "options": options}


def _nested_choices(row: Row) -> Guess | None:
    """Mapping of a question that is an object with its own options, next to the column that chooses one (ARC)."""
    for name, value in row.items():
        if not isinstance(value, dict):
            continue
        ask = next((one for one in _QUESTIONS if isinstance(value.get(one), str)), None)
        held = next((one for one in OPTIONS if isinstance(value.get(one), list) and value[one]), None)
        chooser = held and next((one for one in row if _chooses(one, row[one], len(value[held]))), None)
        if ask and chooser:
            return {"prompt": f"{name}.{ask}", "completion": chooser, "options": f"{name}.{held}"}
    return None


def guess_last_candidate(row: Row) -> Guess | None:
    """Mapping of texts before an answer and of candidates, the last of which is the answer (PersonaChat)."""
    for before, held in (("", row), *_last_turns(row)):
        names = {name.casefold(): name for name in held}
        history, candidates = names.get("history", ""), names.get("candidates", "")
        texts = [held.get(name) for name in (history, candidates)]
        if all(_is_texts(one) or (isinstance(one, list) and len(one) == 1) for one in texts):
            return {"prompt": before + history, "completion": f"{before}{candidates}.-1"}
    return None


def _last_turns(row: Row) -> list[tuple[str, Row]]:
    """Path and value of the last object of each list of objects; in a dialogue it holds the whole history."""
    return [
        (f"{name}.-1.", one[-1])
        for name, one in row.items()
        if isinstance(one, list) and one and isinstance(one[-1], dict)
    ]


def choice_caveat(mapping: Guess) -> str:
    """Sentence on how the choosing column of a mapping is read; "" for a mapping without options."""
    if "options" not in mapping:
        return ""
    chooser = quoted(mapping["completion"])
    return f"{chooser} chooses the option: its number counts from 0, or from 1 with data.first_index=1. "


def holds_options(row: Row) -> str:
    """Column with a list of options that no column chooses from; "" without one."""
    return next(
        (
            name
            for name, one in row.items()
            if name.casefold() in OPTIONS and isinstance(one, (list, dict)) and one
        ),
        "",
    )


def _option_list(row: Row) -> str:
    """Column with a list of two or more texts whose name suggests options or answers; "" without one."""
    return next(
        (name for known in _LISTS for name in row if name.casefold() == known and _is_texts(row[name])), ""
    )


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)


def _option_columns(row: Row) -> list[str]:
    """Two or more text columns with one stem and a number or letter: answer0, answer1, ...; [] without them.

    A stem that does not suggest options needs three columns (`holding_0`, `holding_1`, `holding_2`).
    """
    stems: dict[str, list[str]] = {}
    for name, one in row.items():
        found = _END.search(name)
        if isinstance(one, str) and found and found.start():
            stems.setdefault(name[: found.start()].casefold(), []).append(name)
    stems = {stem: names for stem, names in stems.items() if not any(word in stem for word in _WRONG)}
    known = next(
        (names for one in _STEMS for stem, names in stems.items() if stem.endswith(one) and len(names) > 1),
        None,
    )
    return sorted(known or next((names for names in stems.values() if len(names) > 2), []))


def _chooses(name: str, value: object, count: int) -> bool:
    """Whether a column holds the number or the letter of one of `count` options."""
    if name.casefold() not in _CHOOSERS or isinstance(value, bool):
        return False
    if isinstance(value, str):
        text = value.strip()
        if len(text) == 1 and text.isascii() and text.isalpha():
            return ord(text.upper()) - ord("A") < count
        value = int(text) if text.isascii() and text.isdigit() and len(text) < 3 else -1
    return isinstance(value, int) and 0 <= value <= count
