"""Transcripts: a conversation written as one text, with marks before what each speaker says. Pure."""

from __future__ import annotations

import re

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import Dialogue, take_turns
from nait.data.chat.marks import KNOWN, Marks, way_of
from nait.data.chat.messages import (
    ASSISTANT,
    PLACEHOLDER,
    SYSTEM,
    USER,
    Said,
    shows_media,
)
from nait.data.chat.reasoning import Handling, with_reasoning
from nait.data.row_errors import RowError

_INPUT = "input"
_TOOLS = re.compile(
    r"(?m)^[ \t]*FUNCTION RESPONSE:|<functioncall>|<tool_call>|<\|im_start\|>\s*tool|\[TOOL_CALLS\]|<\|python_tag\|>"
    r"|<[|\uff5c]tool"
)
_BEGIN = re.compile(
    r"^\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<BOS_TOKEN>|\[gMASK\]\s*<sop>"
    r"|<[|\uff5c]begin[_\u2581]of[_\u2581]sentence[|\uff5c]>)"
)
_LLAMA_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>\s*", re.DOTALL)


def read_transcript(text: str, column: str, handling: Handling) -> Dialogue:
    """The turns of a transcript. Raises: RowError for a text without known marks."""
    way = way_of(text)
    if way is None:
        raise RowError(
            "marks no speakers",
            column=column,
            mend=f"Write marks that are read ({KNOWN}), or name columns of their own",
        )
    if _TOOLS.search(text):
        mend = "Tools are not supported: leave such rows out"
        raise RowError("holds a call to a tool or its result", column=column, mend=mend)
    notes: list[str] = []
    said, extra = _said(text, way, column, handling, notes)
    made = take_turns(said, column, handling, notes)
    system, turns = made.system, made.turns
    found = _LLAMA_SYSTEM.match(turns[0].instruction)
    if found:
        first = Turn(turns[0].instruction[found.end() :], turns[0].answer, turns[0].input, turns[0].trained)
        system, turns = found[1].strip(), (first, *turns[1:])
    if len(extra) == len(turns):
        turns = tuple(
            Turn(one.instruction, one.answer, more, one.trained)
            for one, more in zip(turns, extra, strict=True)
        )
    return Dialogue(turns, system, made.notes)


def _said(
    text: str, way: Marks, column: str, handling: Handling, notes: list[str]
) -> tuple[list[Said], list[str]]:
    """The messages, and the input of each user's."""
    names = (USER, ASSISTANT, SYSTEM, _INPUT)
    patterns = (way.user, way.assistant, way.system, way.input)
    marks = re.compile(
        "|".join(f"(?P<{name}>{pattern})" for name, pattern in zip(names, patterns, strict=True))
    )
    found = list(marks.finditer(text))
    before = re.sub(way.end, "", _BEGIN.sub("", text[: found[0].start()])).strip()
    said = [Said(SYSTEM, before)] if before and not way.preamble else []
    extra: list[str] = []
    for one, after in zip(found, [*found[1:], None], strict=True):
        role = str(one.lastgroup)
        piece = text[one.end() : after.start() if after else len(text)]
        piece = _without_ends(piece, way)
        if role == _INPUT and extra:
            extra[-1] = piece
            continue
        if role == USER:
            extra.append("")
            notes += [PLACEHOLDER] if shows_media(piece) else []
        said.append(
            Said(role, with_reasoning(piece, "", column, "", handling, notes) if role == ASSISTANT else piece)
        )
    return said, extra


def _without_ends(piece: str, way: Marks) -> str:
    """The text without the marks at its end."""
    cut = len(piece)
    for mark in reversed(list(re.finditer(way.end, piece))):
        if piece[mark.end() : cut].strip():
            break
        cut = mark.start()
    return piece[:cut].strip()
