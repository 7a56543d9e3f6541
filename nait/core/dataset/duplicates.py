"""Duplicates: rows of one source with equal content, whatever their ids and subtasks.

Content is the system prompt and every turn, compared exactly. Rows that differ in white space or case have different
tokens and are not duplicates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from nait.core.dataset.examples import Example, Pool, Target, content_id, fingerprint
from nait.core.errors import DataError
from nait.core.inputs.checks import check_choice

RULES = ("keep", "first", "error")
IDENTICAL = "identical to another row"


def resolve_duplicates(pool: Pool, rule: str, *, group: str, place: Callable[[int], str]) -> Pool:
    """The pool after a rule is applied to its duplicates: `keep` all, keep the `first`, or raise an `error`.

    `first` keeps the row whose id sorts first, so that the order of the file does not matter, and counts the others
    as skipped. `place` names the location of a source row by its number; `group` is the config group that messages
    name.

    Raises: ConfigError for an unknown rule; DataError that names two duplicates under `error`.
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
                fix=f"Leave one of them out, or set {group}.duplicates=first (keeps one) or keep (keeps all).",
            )
    examples = tuple(first.values())
    skipped = {**pool.skipped, IDENTICAL: pool.duplicates}
    return replace(pool, examples=examples, fingerprint=fingerprint(examples), skipped=skipped)


def count_duplicates(examples: Iterable[Example]) -> int:
    """The number of examples with the same content as an earlier one."""
    contents = [_content(example) for example in examples]
    return len(contents) - len(set(contents))


def describe_duplicates(rows: Pool | Target) -> list[str]:
    """Log lines about the duplicates of a pool or a target; empty when there are none."""
    if not rows.duplicates:
        return []
    role, effect = ("Pool", "all can be selected")
    if isinstance(rows, Target):
        role, effect = ("Target", "each counts again in the reference set")
    if IDENTICAL in rows.skipped:
        effect = "one of each is kept"
    return [f"{role} {rows.name}: {rows.duplicates:,} rows are identical to another: {effect}."]


def _content(example: Example) -> str:
    return content_id(example.system, example.turns)
