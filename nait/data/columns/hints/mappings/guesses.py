"""Guesses of a column mapping that may read a row that no layout fits. Pure.

A guess uses names and value types only. Without both a question and an answer there is no guess: a mapping to the
wrong columns is worse than a list of the columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from nait.data.columns.hints.mappings.choices import Guess, guess_choices, guess_last_candidate, holds_options
from nait.data.columns.hints.mappings.companions import (
    KNOWN_CONTEXTS,
    context_beside,
    listed_input,
    reasoning_beside,
)
from nait.data.columns.hints.mappings.conversation_guesses import (
    guess_conversation,
    guess_speakers,
    guess_turns,
)
from nait.data.columns.hints.mappings.named_paths import (
    answers,
    asks,
    first_named,
    inside_answer,
    inside_input,
    is_name,
    named_texts,
)
from nait.data.columns.hints.mappings.task_columns import guess_task
from nait.data.columns.hints.row_shapes import must_be_rewritten, verdict_column
from nait.data.columns.nested_texts import is_history, name_words
from nait.data.columns.path_steps import best_steps, parsed, with_best
from nait.data.field_names import (
    ANSWER_WORDS,
    ASKED,
    CONVERSATIONS,
    INPUTS,
    MORE_CONVERSATIONS,
    QUESTION_WORDS,
    REJECTED,
    TEXT_COLUMNS,
)
from nait.data.row_errors import SHOWN_NAMES, Row, value_at

_BODIES = ("selftext", "body", "post", "description", "question_body", "text", "content")
"""Names of the text below a title."""
_PAIR = ("prompt", "completion")
_MESSAGE_LISTS = (
    *CONVERSATIONS,
    *MORE_CONVERSATIONS,
    "utterances",
    "turns",
    "history",
    "comments",
    "log",
    "replies",
)
_BEST = {"best", "preferred", "accepted", "chosen", "edited", "revised", "refined", "corrected", "improved"}
"""Words of a column with the best of several answers."""
_CLASSES = {"label", "class", "intent", "category", "sentiment", "emotion", "rating", "star", "stars"}
"""Last words of columns with a class as a number."""


def guess_mapping(row: Row) -> Guess | None:
    """Mapping that may read a row that no layout fits: the chosen answer of a preference pair, or nested texts.

    Of several answers with scores it reads the best one; texts before an answer, and texts of an input, as a list.
    """
    if must_be_rewritten(row):
        return None
    found = _guess(row)
    return found and _with_lists(row, found)


def _with_lists(row: Row, mapping: Guess) -> Guess:
    """The mapping with the best of several answers, the whole history as the prompt, and the texts of an input."""
    changed = {name: _first_of_json(row, path) if name in _PAIR else path for name, path in mapping.items()}
    completion, prompt = changed.get("completion"), changed.get("prompt")
    if isinstance(completion, str) and "options" not in mapping:
        changed["completion"] = _best_beside(row, completion, str(prompt))
        if "summary" in name_words(completion) and ".0." in str(prompt):
            prompt = changed["prompt"] = str(prompt).replace(".0.", ".*.", 1)
    if (
        isinstance(prompt, str)
        and is_history(prompt[:-2], value_at(row, prompt[:-2]))
        and prompt.endswith(".0")
    ):
        changed["prompt"] = prompt[:-2]
    elif "completion" in mapping and "input" not in mapping and (given := listed_input(row, changed)):
        changed["input"] = given
    if "completion" in changed and not {*INPUTS} & {*map(str.casefold, row)}:
        beside = context_beside([row], _columns_of(changed), str(prompt), str(completion), KNOWN_CONTEXTS)
        if beside and "input" not in changed:
            changed["input"] = beside
    if "completion" in mapping and "options" not in mapping and (trace := reasoning_beside(row, changed)):
        changed["reasoning"] = trace
    return changed


def _columns_of(mapping: Guess) -> set[str]:
    """Columns that a mapping reads, those of its paths included."""
    paths = [one for held in mapping.values() for one in ([held] if isinstance(held, str) else held)]
    return {*paths, *(path.split(".")[0] for path in paths)}


def _best_beside(row: Row, completion: str, prompt: str) -> str:
    """The path to the best answer, unless the question is in the same item as the answer."""
    best = with_best(row, completion)
    together = any(prompt.startswith(f"{held}.0.") for held, _, _ in best_steps(best))
    return completion if together else best


def _first_of_json(row: Row, path: str | Sequence[str]) -> str | Sequence[str]:
    """The path, with a step to the first text where its value is a list of texts as JSON text."""
    value = value_at(row, path) if isinstance(path, str) else None
    texts = parsed(value) if isinstance(value, str) else None
    return (
        f"{path}.0"
        if isinstance(texts, list) and texts and all(isinstance(one, str) for one in texts)
        else path
    )


def _guess(row: Row) -> Guess | None:
    columns = {
        name: value
        for name, value in list(row.items())[:SHOWN_NAMES]
        if not any(word in name.casefold() for word in REJECTED)
        and name != verdict_column(row)
        and name_words(name)[-1:] not in (["metadata"], ["meta"])
    }
    if candidates := guess_last_candidate(columns):
        return candidates
    choices = guess_choices(columns)
    if choices:
        return choices
    if task := guess_task(columns):
        return task
    if isinstance(columns.get("prompt"), list) and isinstance(columns.get("chosen"), list):
        return {"prompt": "prompt", "completion": "chosen"}
    return (
        guess_turns(columns)
        or guess_conversation(columns)
        or _with_title(columns, _guessed_pair(columns))
        or guess_speakers(columns)
    )


def _with_title(columns: Row, pair: Guess | None) -> Guess | None:
    """The mapping with a title as the prompt and the text below it as its input (Reddit, StackExchange)."""
    body = next(
        (name for name in columns if name.casefold() in _BODIES and isinstance(columns[name], str)), ""
    )
    title = next(
        (name for name in columns if name.casefold() == "title" and isinstance(columns[name], str)), ""
    )
    prompt = (pair or {}).get("prompt", body)
    if not title or not body or prompt not in (body, title):
        return pair
    answer = first_named([path for path in named_texts(columns) if path != body], ANSWER_WORDS)
    completion = (pair or {}).get("completion", answer or "COLUMN")
    return {"prompt": title, "input": body, "completion": completion}


def _guessed_pair(columns: Row) -> dict[str, str] | None:
    """Mapping to texts whose names suggest question and answer; of exactly two texts, the first and the second.

    A number in an answer column (a class) answers a single text.
    """
    texts = list(named_texts(columns))
    whole = [path for path in texts if "." not in path]
    question = next((path for word in ASKED for path in whole if path.casefold() == word), None)
    question = question or next(filter(asks, whole), None)
    possible = [path for path in texts if not inside_answer(path) and not answers(path)]
    question = question or next((path for word in ASKED for path in possible if path == f"{word}s.0"), None)
    question = question or first_named(possible, QUESTION_WORDS)
    question = question or next((f"{name}.0" for name, one in columns.items() if is_history(name, one)), None)
    outside = [path for path in texts if path != question and not inside_input(path)]
    answer = next((path for path in outside if "." not in path and _is_best(path)), None)
    answer = answer or first_named(outside, ANSWER_WORDS)
    if answer and not question:  # a text before a reply: `context` and `response`
        question = next((path for path in texts if path in INPUTS and path != answer), None)
    if question and not answer:
        answer = next((path for path in texts if path in TEXT_COLUMNS and path != question), None)
    numbers = [name for name, one in columns.items() if isinstance(one, (bool, int)) and _is_class(name)]
    if len(texts) == 1 and len(numbers) == 1:
        return {"prompt": texts[0], "completion": numbers[0]}
    unnamed = not (question and answer) and not holds_options(columns)
    together = len({path.rpartition(".")[0] for path in texts}) == 1 and not _in_messages(texts[0])
    if len(texts) == 2 and together and unnamed and not numbers and all(map(is_name, texts)):
        question = question or next(path for path in texts if path != answer)
        answer = answer or next(path for path in texts if path != question)
        if asks(answer):  # two questions
            return None
    return {"prompt": question, "completion": answer} if question and answer else None


def _in_messages(path: str) -> bool:
    """Whether a path leads into a list of messages."""
    return ".0." in path and path.split(".0.")[0].split(".")[-1].casefold() in _MESSAGE_LISTS


def _is_best(name: str) -> bool:
    """Whether a column holds the best of several answers by its name (`best_response`)."""
    words = name_words(name)
    return bool(_BEST & {*words}) and words[-1] in ANSWER_WORDS


def _is_class(name: str) -> bool:
    """Whether a number in a column is an answer: a class by its name (`label`, `intent`)."""
    return name in ANSWER_WORDS or bool(_CLASSES & {*name_words(name)[-1:]})
