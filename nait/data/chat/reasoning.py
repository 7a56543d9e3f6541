"""Reasoning traces: kept before the answer as <think>...</think>, or dropped. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nait.data.field_names import SWITCHES
from nait.data.row_errors import checked_text, is_empty

KEPT, DROPPED = "reasoning kept as <think>", "reasoning dropped"
SWITCHED = "reasoning that is only a setting, not used"
_PAIRS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning", "seed:think")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
)
"""Markers around reasoning at the start of an answer."""
_SOLUTION = re.compile(r"<\|begin_of_solution\|>\s*(.*?)\s*(?:<\|end_of_solution\|>\s*)?", re.DOTALL)


@dataclass(frozen=True)
class Handling:
    """Options for rows: `reasoning` is "keep" or "drop", `turns` is "refuse" or "mend", `first_index` is 0 or 1."""

    reasoning: str = "keep"
    turns: str = "refuse"
    first_index: int = 0


def join_reasoning(
    text: str, reasoning: object, column: str, at: str, handling: Handling, notes: list[str]
) -> str:
    """Answer with its reasoning before it as <think>...</think>, or with reasoning dropped. Raises: RowError."""
    if isinstance(reasoning, bool) or (
        isinstance(reasoning, str) and reasoning.strip().casefold() in SWITCHES
    ):
        notes.append(SWITCHED)
        reasoning = ""
    end = _reasoning_end(text, opened=not is_empty(reasoning))
    if handling.reasoning == "drop":
        if end or not is_empty(reasoning):
            notes.append(DROPPED)
        return _solution_text(text[end:].lstrip()) if end else text
    if is_empty(reasoning):
        return text
    trace = checked_text(reasoning, column, at)
    notes.append(KEPT)
    return text if end else f"<think>\n{trace.strip()}\n</think>\n\n{text}"


def _reasoning_end(text: str, *, opened: bool) -> int:
    """End offset of the reasoning at the start of a text; 0 when there is none.

    Reasoning without an end marker (a truncated answer) spans the whole text. An end marker alone counts when the
    chat template may have written the start marker, unless `opened` requires both.
    """
    head = text.lstrip()
    blanks = len(text) - len(head)
    for begin, end in _PAIRS:
        at = head.find(end)
        if head.startswith(begin):
            return blanks + at + len(end) if at >= 0 else len(text)
        if begin == "<think>" and not opened and at >= 0 and begin not in head[:at]:
            return blanks + at + len(end)
    return 0


def _solution_text(text: str) -> str:
    """Text inside OpenThoughts' solution markers."""
    found = _SOLUTION.fullmatch(text)
    return found[1] if found else text
