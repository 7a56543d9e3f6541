"""Sentences on what a suggested mapping omits, or reads literally: other answers, further items, JSON text. Pure."""

from __future__ import annotations

import re

from nait.data.chat.messages import is_messages
from nait.data.columns.hints.mappings.choices import Guess, choice_caveat
from nait.data.columns.nested_texts import TEXT_NAMES, best_text_path, is_metadata, name_words, text_paths
from nait.data.columns.path_steps import best_steps, parsed
from nait.data.field_names import ANSWER_NAMES, REJECTED
from nait.data.row_errors import SHOWN_NAMES, Row, kind, quoted, value_at

_SUFFIXES = (
    re.compile(r"(?:(?:^|_)[a-z]|_?[0-9])$", re.IGNORECASE),
    re.compile(r"[_-][a-z]{2,3}(?:[_-][A-Za-z]{2,4})?$"),
)
"""Endings of columns that hold the same in another version: a number or letter, a language."""
_VERDICT_WORDS = {
    "better",
    "winner",
    "preference",
    "preferred",
    "choice",
    "safer",
    "score",
    "label",
    "rank",
    "reward",
}
_NUMBER = re.compile(r"[0-9]$")


def mapping_caveats(row: Row, mapping: Guess) -> str:
    """Sentences on what the mapping omits or reads literally: other answers, further items, JSON text."""
    caveats, firsts = [choice_caveat(mapping)], []
    if "speakers" in mapping:
        caveats.append("Of its two speakers, the first is the user. ")
    paths = [path for path in mapping.values() if isinstance(path, str)]
    for path in paths:
        caveats.append(_omitted(row, path, mapping))
        if path == mapping.get("options"):
            continue
        caveats += [*_best_items(path), *_whole_lists(row, path, mapping)]
        if _takes_first_of_several(row, path):
            firsts.append(f"'{path}'")
        if isinstance(value_at(row, path), (bool, int)) and "options" not in mapping:
            caveats.append(f"'{path}' is {kind(value_at(row, path))}, which is read as its JSON text. ")
        if first := _json_item(value_at(row, path)):
            caveats.append(
                f"'{path}' holds a list as JSON text, which is read literally; '{path}{first}' is its first item. "
            )
    caveats.append(_other_answers(row, mapping))
    if firsts:
        caveats.append(f"Only the first item of each list is read with {' and '.join(firsts)}. ")
        caveats.append(preference(row, ""))
    rows = {path.rpartition(".0.")[0] for path in paths}
    in_one = len(mapping) < 3 and len(rows) == 1 and "." in "".join(rows)
    if in_one and all(".0." in path for path in paths):
        caveats.append(
            f"If the file is one object and its rows are a list in it, set data.field={rows.pop()}. "
        )
    return "".join(dict.fromkeys(caveats))


def _best_items(path: str) -> list[str]:
    """Sentence for each step of a path that picks the best item of a list."""
    return [
        f"Of the items in {quoted(held)}, the mapping reads the one with the {'highest' if largest else 'lowest'} "
        f"{quoted(key)}. "
        for held, key, largest in best_steps(path)
    ]


def _whole_lists(row: Row, path: str, mapping: Guess) -> list[str]:
    """Sentences for a path to the last item of a list, and for an input that is a list of texts."""
    value = value_at(row, path)
    if path.endswith(".-1"):
        return [f"If the last item of {quoted(path[:-3])} is the answer, the mapping reads it. "]
    if path == mapping.get("input") and isinstance(value, list) and len(value) == 1:
        return [f"{quoted(path)} is a list with one text, which is read. "]
    if path == mapping.get("input") and isinstance(value, list):
        return [f"{quoted(path)} is a list: all {len(value):,} texts are joined by blank lines. "]
    return []


def _omitted(row: Row, path: str, mapping: Guess) -> str:
    """Sentence on columns that differ from this one by a number, a letter or a language; "" without any."""
    column = path.split(".")[0]
    read = {name for one in mapping.values() for name in ([one] if isinstance(one, str) else one)}
    others = [
        quoted(name)
        for name in row
        if name not in (*read, column)
        and not is_metadata(name)
        and (name.startswith(f"{column}/") or _is_version(name, column))
    ]
    if not others:
        return ""
    return f"The columns named below omit {', '.join(others[:SHOWN_NAMES])}. {preference(row, column)}"


def _is_version(name: str, column: str) -> bool:
    """Whether a column differs from another by the ending that tells versions apart."""
    return any(cut.search(name) and cut.sub("", name) == cut.sub("", column) != column for cut in _SUFFIXES)


def _other_answers(row: Row, mapping: Guess) -> str:
    """Sentence on columns that no field reads and that may hold an answer too (`r1_solution_1`, `reference`)."""
    read = {str(path).split(".")[0] for path in mapping.values()}
    if mapping.get("completion", "COLUMN") == "COLUMN" or "options" in mapping:
        return ""
    others = [
        quoted(name)
        for name, one in row.items()
        if isinstance(one, str) and one.strip() and name not in read and _is_answer(name)
    ]
    if not others:
        return ""
    named = others[0] if len(others) == 1 else f"each of {', '.join(others[:SHOWN_NAMES])}"
    return f"{named[:1].upper() + named[1:]} may hold an answer too: name it as 'completion' to read it. "


def _is_answer(name: str) -> bool:
    words = [word for word in name_words(name) if not word.isdigit()]
    return (
        words[-1:] != []
        and words[-1] in ANSWER_NAMES
        and not any(word in name.casefold() for word in REJECTED)
    )


def _takes_first_of_several(row: Row, path: str) -> bool:
    steps = path.split(".")
    lists = (parsed(value_at(row, ".".join(steps[:i]))) for i, step in enumerate(steps) if i and step == "0")
    return any(isinstance(one, list) and len(one) > 1 for one in lists)


def only_text(value: object) -> str:
    """Path of the only text in a list or an object as JSON text; "" for messages and for any other value."""
    found = parsed(value) if isinstance(value, str) else None
    if (
        not isinstance(found, (list, dict))
        or is_messages(found)
        or (isinstance(found, list) and len(found) > 1)
    ):
        return ""
    paths = list(text_paths(found))
    names = (
        {step for step in paths[0].split(".") if step and not step.isdigit()} if len(paths) == 1 else set()
    )
    return paths[0] if names and names <= {*TEXT_NAMES, "choices", "taxonomy"} else ""


def _json_item(value: object) -> str:
    """Path of the first text in a list as JSON text; "" for messages and for any other value."""
    found = parsed(value) if isinstance(value, str) else None
    if not isinstance(found, list) or not found or is_messages(found):
        return ""
    path = best_text_path(found) or ""
    return path if path == ".0" or path.split(".")[-1] in (*TEXT_NAMES, "html") else ""


def path_example(row: Row) -> str:
    """Sentence on how to name a text inside a column; "" for a row of texts alone."""
    for name, value in list(row.items())[:SHOWN_NAMES]:
        texts = isinstance(value, list) and len(value) > 1 and all(isinstance(one, str) for one in value)
        path = best_text_path(value) if isinstance(value, (list, dict)) else None
        if texts:
            return f"{quoted(f'{name}.*')} joins the texts of {quoted(name)}. "
        if path and value_at(row, name + path) is not None:
            return f"A text inside a column has a path, such as {quoted(name + path)}. "
    return ""


def preference(row: Row, column: str) -> str:
    """Sentence on the columns that say which of several answers is preferred; "" without one.

    `column`: the answer that a mapping reads. When an index from 0 chooses between columns with numbers from 0, the
    sentence has a `jq` filter that writes the chosen answer.
    """
    found = [name for name, one in row.items() if _VERDICT_WORDS & {*name_words(name)} and _is_verdict(one)]
    if not found:
        return ""
    chosen = next(
        (name for name in found if {"better", "winner", "choice", "preferred"} & {*name_words(name)}), ""
    )
    filter = _filter(row, column, chosen)
    such_as = f", such as with jq -c '{filter}'" if filter else ""
    names = " and ".join(map(quoted, found[:2]))
    return f"{names} may tell which answer is preferred: write that one as 'completion'{such_as}. "


def _is_verdict(value: object) -> bool:
    return isinstance(value, (str, int, float, bool)) or (
        isinstance(value, list) and bool(value) and all(isinstance(one, (int, float)) for one in value)
    )


def _filter(row: Row, column: str, chosen: str) -> str:
    """Filter that writes the answer at the index in `chosen`; "" unless the answers' columns count from 0."""
    stem = _NUMBER.sub("", column)
    answers = [f"{stem}{i}" for i in range(10) if f"{stem}{i}" in row]
    index = row.get(chosen)
    if not column.endswith("0") or len(answers) < 2 or isinstance(index, bool) or not isinstance(index, int):
        return ""
    if not 0 <= index < len(answers) or not all(name.isidentifier() for name in (*answers, chosen)):
        return ""
    listed = ", ".join(f".{name}" for name in answers)
    return f". + {{completion: [{listed}][.{chosen}]}}"
