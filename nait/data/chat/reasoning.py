"""Reasonings: what is thought before an answer, kept in front of it or left out. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nait.data.columns.column_names import SWITCHES
from nait.data.row_errors import checked_text, is_empty

KEPT, DROPPED = "reasoning kept as <think>", "reasoning left out"
SWITCHED = "reasoning that only says on, off or how much: not used"
_PAIRS = (
    *((f"<{name}>", f"</{name}>") for name in ("think", "thinking", "thought", "reasoning", "seed:think")),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("[THINK]", "[/THINK]"),
)
"""Marks around reasoning at the head of an answer."""
_SOLUTION = re.compile(r"<\|begin_of_solution\|>\s*(.*?)\s*(?:<\|end_of_solution\|>\s*)?", re.DOTALL)


@dataclass(frozen=True)
class Handling:
    """What is done with parts of a conversation: `reasoning` keep or drop, `turns` refuse or mend."""

    reasoning: str = "keep"
    turns: str = "refuse"


def with_reasoning(
    text: str, thought: object, column: str, at: str, handling: Handling, notes: list[str]
) -> str:
    """The answer with its reasoning before it, as <think>...</think>, or without any. Raises: RowError."""
    if isinstance(thought, bool) or (isinstance(thought, str) and thought.strip().casefold() in SWITCHES):
        notes.append(SWITCHED)
        thought = ""
    end = _thought_end(text, opened=not is_empty(thought))
    if handling.reasoning == "drop":
        if end or not is_empty(thought):
            notes.append(DROPPED)
        return _solution(text[end:].lstrip()) if end else text
    if is_empty(thought):
        return text
    said = checked_text(thought, column, at)
    notes.append(KEPT)
    return text if end else f"<think>\n{said.strip()}\n</think>\n\n{text}"


def _thought_end(text: str, *, opened: bool) -> int:
    """Where the reasoning at the head of a text ends; 0 where there is none.

    Reasoning without an end, as of an answer that was cut off, is the whole text. A template may have opened it:
    then only its end is there, unless all reasoning must be `opened`.
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


def _solution(text: str) -> str:
    """The text inside OpenThoughts' marks of a solution."""
    found = _SOLUTION.fullmatch(text)
    return found[1] if found else text
