"""Notes on the texts of an example: empty ones, and those that spell a missing value. Pure."""

from __future__ import annotations

from nait.core.dataset.examples import Example
from nait.core.dataset.reading_warnings import EMPTY_INSTRUCTION

EMPTY_ANSWER = "empty answer"
SPELLED_MISSING = "an answer that spells a missing value (nan, None, #N/A), read as text"
_MISSING_SPELLINGS = {"nan", "none", "null", "<na>", "#n/a"}
SPELLED_INPUT = "an input that spells a missing value (nan, None, <noinput>), read as text"
_INPUT_SPELLINGS = {*_MISSING_SPELLINGS, "n/a", "<noinput>", "<no input>", "noinput", "no input"}


def text_notes(example: Example) -> list[str]:
    """Notes on an example, each of which is counted once a row."""
    turns = example.turns
    notes = [] if example.answered else [EMPTY_ANSWER]
    if any(turn.answer.strip().casefold() in _MISSING_SPELLINGS for turn in turns):
        notes.append(SPELLED_MISSING)
    if any(turn.input and turn.input.strip().casefold() in _INPUT_SPELLINGS for turn in turns):
        notes.append(SPELLED_INPUT)
    if not any(turn.instruction.strip() or turn.input.strip() for turn in turns):
        notes.append(EMPTY_INSTRUCTION)
    return notes
