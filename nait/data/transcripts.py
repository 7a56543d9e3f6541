"""Transcripts: a conversation written as one text, with marks before what each speaker says. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from nait.core.examples import Turn
from nait.data.conversations import Dialogue, take_turns
from nait.data.messages import (
    ASSISTANT,
    PLACEHOLDER,
    SYSTEM,
    USER,
    Said,
    shows_media,
)
from nait.data.reasonings import Handling, with_reasoning
from nait.data.rows import RowError

_INPUT = "input"


class Marks(NamedTuple):
    """A way of writing: patterns before a speaker's text, patterns that are cut off its end."""

    user: str
    assistant: str
    system: str = r"(?!)"
    input: str = r"(?!)"
    end: str = r"(?!)"
    preamble: bool = False
    """Whether the text before the first mark is the way's own words, and not a system message."""


WAYS = (
    Marks(
        r"<\|im_start\|>\s*user\s*\n", r"<\|im_start\|>\s*assistant\s*\n", r"<\|im_start\|>\s*system\s*\n",
        end=r"<\|im_end\|>|<\|endoftext\|>",
    ),
    Marks(
        r"<\|start_header_id\|>user<\|end_header_id\|>", r"<\|start_header_id\|>assistant<\|end_header_id\|>",
        r"(?:<\|begin_of_text\|>)?<\|start_header_id\|>system<\|end_header_id\|>",
        end=r"<\|eot_id\|>|<\|end_of_text\|>",
    ),
    Marks(
        r"<\|header_start\|>user<\|header_end\|>", r"<\|header_start\|>assistant<\|header_end\|>",
        r"<\|header_start\|>system<\|header_end\|>", end=r"<\|eot\|>|<\|end_of_text\|>",
    ),
    Marks(
        r"<\|start_of_role\|>user<\|end_of_role\|>", r"<\|start_of_role\|>assistant<\|end_of_role\|>",
        r"<\|start_of_role\|>system<\|end_of_role\|>", end=r"<\|end_of_text\|>",
    ),
    Marks(
        r"<\|start\|>user<\|message\|>", r"<\|start\|>assistant(?:<\|channel\|>\w+)?<\|message\|>",
        r"<\|start\|>(?:system|developer)<\|message\|>", end=r"<\|end\|>|<\|return\|>",
    ),
    Marks(
        r"<\|START_OF_TURN_TOKEN\|><\|USER_TOKEN\|>", r"<\|START_OF_TURN_TOKEN\|><\|CHATBOT_TOKEN\|>",
        r"<\|START_OF_TURN_TOKEN\|><\|SYSTEM_TOKEN\|>", end=r"<\|END_OF_TURN_TOKEN\|>",
    ),
    Marks(r"<｜User｜>", r"<｜Assistant｜>", end=r"<｜end▁of▁sentence｜>"),
    Marks(r"<start_of_turn>user\n", r"<start_of_turn>model\n", end=r"<end_of_turn>|<eos>"),
    Marks(
        r"<\|(?:user|prompter)\|>", r"<\|assistant\|>", r"<\|system\|>",
        end=r"</s>|<\|end\|>|<\|endoftext\|>|<\|eot_id\|>",
    ),
    Marks(r"\[\|Human\|\]", r"\[\|AI\|\]", preamble=True),
    Marks(r"(?:<s>)?\s*\[INST\]", r"\[/INST\]", r"\[SYSTEM_PROMPT\]", end=r"</s>|\[/SYSTEM_PROMPT\]"),
    Marks(r"<human>:", r"<bot>:"),
    Marks(r"#{2,3} Human:", r"#{2,3} Assistant:", r"#{2,3} System:", end=r"</s>|<\|endoftext\|>"),
    Marks(
        r"#{2,3} Instruction:", r"#{2,3} (?:Response|Output|Answer):", input=r"#{2,3} Input:",
        end=r"</s>|<\|endoftext\|>|#{2,3} End", preamble=True,
    ),
    Marks(
        r"(?:^|\n\n?|\s)USER:", r"(?:^|\n\n?|\s)ASSISTANT:", r"^SYSTEM:", end=r"</s>|<\|endoftext\|>|<\|im_end\|>",
    ),
    Marks(r"\[Human\]:", r"\[MOSS\]:", end=r"<eoh>|<eoa>"),
    Marks(r"(?:^|\n)\s*(?:Human|H):", r"\n\s*(?:Assistant|A):", end=r"</s>|<\|endoftext\|>"),
    Marks(r"(?:^|\n)User:", r"\n(?:Assistant|Bot):", r"(?:^|\n)System:", end=r"</s>|<\|endoftext\|>"),
)  # fmt: skip
_TOOLS = re.compile(
    r"(?m)^\s*FUNCTION RESPONSE:|<functioncall>|<tool_call>|<\|im_start\|>\s*tool|\[TOOL_CALLS\]|<\|python_tag\|>"
)
_BEGIN = re.compile(
    r"^\s*(?:<s>|<bos>|<\|begin_of_text\|>|<\|endoftext\|>|<BOS_TOKEN>|<｜begin▁of▁sentence｜>)"
)
_LLAMA_SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>\s*", re.DOTALL)


def way_of(text: object) -> Marks | None:
    """The way in which a text is written: the first whose user and then assistant it marks."""
    if not isinstance(text, str):
        return None
    for way in WAYS:
        asked = re.search(way.user, text)
        if asked and re.search(way.assistant, text[asked.end() :]):
            return way
    return None


def read_transcript(text: str, column: str, handling: Handling) -> Dialogue:
    """The turns of a transcript. Raises: RowError for a text without known marks."""
    way = way_of(text)
    if way is None:
        raise RowError(
            "marks no speakers",
            column=column,
            mend="Write '### Human: ...### Assistant: ...' or <|im_start|> marks, or name columns of their own",
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
        piece = re.sub(rf"(?:(?:{way.end})\s*)+$", "", piece.rstrip()).strip()
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
