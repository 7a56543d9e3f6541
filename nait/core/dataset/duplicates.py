"""Duplicates: rows of one source with the same content, whatever their ids and subtasks.

Content is what is encoded: the system prompt and every turn, letter by letter. Rows that differ in white space or
case are encoded differently and are not duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nait.core.dataset.examples import Example, Pool, Target, content_id, fingerprint
from nait.core.errors import DataError
from nait.core.inputs.checks import check_choice

RULES = ("keep", "first", "error")
IDENTICAL = "identical to another row"


def settled(pool: Pool, rule: str, *, group: str, place: Callable[[int], str]) -> Pool:
    """The pool after its duplicates are kept, left out and counted as skipped, or refused.

    `first` keeps the one whose id is first in the pool's order, so that the order of the file changes nothing.
    `place` names a row of the source by its number; `group` is the config group whose key the messages name.

    Raises: ConfigError for an unknown rule; DataError that names two rows under the rule `error`.
    """
    check_choice(f"{group}.duplicates", rule, RULES)
    if rule == "keep" or not pool.duplicates:
        return pool
    first: dict[str, Example] = {}
    for example in pool.examples:
        kept = first.setdefault(_content(example), example)
        if kept is not example and rule == "error":
            one, other = sorted((kept.row, example.row))
            raise DataError(
                f"is identical to {place(one)}; {pool.duplicates:,} rows are identical to another",
                where=place(other),
                mend=f"Leave one of them out, or set {group}.duplicates=first (keeps one) or keep (keeps all).",
            )
    examples = tuple(first.values())
    skipped = {**pool.skipped, IDENTICAL: pool.duplicates}
    return replace(pool, examples=examples, fingerprint=fingerprint(examples), skipped=skipped)


def duplicates_in(examples: Iterable[Example]) -> int:
    """How many of these have the content of another one before them."""
    contents = [_content(example) for example in examples]
    return len(contents) - len(set(contents))


def describe_duplicates(rows: Pool | Target) -> list[str]:
    """What is said aloud about the duplicates of a pool or a target; empty where it has none."""
    if not rows.duplicates:
        return []
    role, effect = ("Pool", "all can be selected")
    if isinstance(rows, Target):
        role, effect = ("Target", "each weighs again in what is made of the reference set")
    if IDENTICAL in rows.skipped:
        effect = "one of each is kept"
    return [f"{role} {rows.name}: {rows.duplicates:,} rows are identical to another: {effect}."]


def _content(example: Example) -> str:
    return content_id(example.system, example.turns)
