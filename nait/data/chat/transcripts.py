"""Parser for transcripts: a conversation in one text, with a role marker before each message. Pure."""

from __future__ import annotations

import re

from nait.core.dataset.examples import Turn
from nait.data.chat.conversations import Dialogue, turns_from_messages
from nait.data.chat.fences import mask_fences
from nait.data.chat.marks import KNOWN, PROMPT_ENDS, Marks, awaits_answer, style_of
from nait.data.chat.media import PLACEHOLDER, has_media_placeholder
from nait.data.chat.reasoning import Handling, join_reasoning
from nait.data.chat.roles import ASSISTANT, SYSTEM, USER, Message
from nait.data.row_errors import RowError

PARSED = "a prompt that is a transcript, read as its turns"
UNUSED = "text before the first marker of a transcript, not used"
_USUAL = re.compile(r"(?:Below (?:is|are)|The conversation between human and AI)\b", re.IGNORECASE)
"""The beginning of a text before the first marker that says nothing: the boilerplate of Alpaca and of Baize."""
_INPUT = "input"
_COLUMNS = "Write question, input and answer into columns of their own"
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
    """Turns of a transcript. Raises: RowError for a text without known role markers."""
    style = style_of(text)
    if style is None:
        raise RowError(
            "has no known role markers",
            column=column,
            fix=f"Use known markers ({KNOWN}), or put question and answer in separate columns",
        )
    if _TOOLS.search(mask_fences(text)):
        fix = "Tools are not supported: remove such rows"
        raise RowError("holds a tool call or a tool result", column=column, fix=fix)
    return _dialogue(text, style, column, handling)


def read_prompt(text: str, answer: str, column: str, handling: Handling) -> Dialogue | None:
    """Turns of a prompt that is a transcript and ends before its answer, which is elsewhere; None for other text.

    Earlier answers are context. Few-shot prompts (`Q: ... A:`) and transcripts with tools are texts.
    """
    style = style_of(text) if text.rstrip().endswith(PROMPT_ENDS) and awaits_answer(text) else None
    if style is None or style.first or _TOOLS.search(mask_fences(text)):
        return None
    try:
        found = _dialogue(text, style, column, handling, answer)
    except RowError:  # its roles do not alternate, as where a text quotes a marker
        return None
    return found._replace(notes=(*found.notes, PARSED))


def _dialogue(
    text: str, style: Marks, column: str, handling: Handling, answer: str | None = None
) -> Dialogue:
    """Turns of a transcript; `answer` is the text of its last message, which is then empty. Raises: RowError."""
    notes: list[str] = []
    messages, inputs = _split_messages(text, style, column, handling, notes)
    if answer is not None:
        last = Message(ASSISTANT, _strip_end_markers(answer, style))
        messages = [*(one._replace(trained=False) for one in messages[:-1]), last]
    dialogue = turns_from_messages(messages, column, handling, notes)
    system, turns = dialogue.system, dialogue.turns
    found = _LLAMA_SYSTEM.match(turns[0].instruction)
    if found:
        first = Turn(turns[0].instruction[found.end() :], turns[0].answer, turns[0].input, turns[0].trained)
        system, turns = found[1].strip(), (first, *turns[1:])
    if len(inputs) != len(turns) and any(inputs):
        raise RowError("has an input, and turns to mend", column=column, fix=_COLUMNS)
    if len(inputs) == len(turns):
        turns = tuple(
            Turn(one.instruction, one.answer, more, one.trained)
            for one, more in zip(turns, inputs, strict=True)
        )
    return Dialogue(turns, system, dialogue.notes)


def _split_messages(
    text: str, style: Marks, column: str, handling: Handling, notes: list[str]
) -> tuple[list[Message], list[str]]:
    """Messages, and the input of each user message."""
    names = (USER, ASSISTANT, SYSTEM, _INPUT)
    patterns = (style.user, style.assistant, style.system, style.input)
    marks = re.compile(
        "|".join(f"(?P<{name}>{pattern})" for name, pattern in zip(names, patterns, strict=True))
    )
    found = _without_quoted_inputs(list(marks.finditer(mask_fences(text))))
    before = re.sub(style.end, "", _BEGIN.sub("", text[: found[0].start()])).strip()
    messages = [Message(SYSTEM, before)] if before and not style.preamble else []
    notes += [UNUSED] if before and style.preamble and not _USUAL.match(before) else []
    inputs: list[str] = []
    for one, after in zip(found, [*found[1:], None], strict=True):
        role = str(one.lastgroup)
        piece = text[one.end() : after.start() if after else len(text)]
        piece = _strip_end_markers(piece, style)
        if role == _INPUT:
            if not inputs:
                raise RowError("has an input before its question", column=column, fix=_COLUMNS)
            inputs[-1] = piece
            continue
        if role == USER:
            inputs.append("")
        notes += [PLACEHOLDER] if has_media_placeholder(piece) else []
        messages.append(
            Message(
                role, join_reasoning(piece, "", column, "", handling, notes) if role == ASSISTANT else piece
            )
        )
    return messages, inputs


def _without_quoted_inputs(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The markers without those of an input that follow no question: in an answer or an input, they are text."""
    kept: list[re.Match[str]] = []
    for mark in marks:
        if mark.lastgroup != _INPUT or not kept or kept[-1].lastgroup == USER:
            kept.append(mark)
    return kept


def _strip_end_markers(piece: str, style: Marks) -> str:
    """Text without the end markers after it."""
    cut = len(piece)
    for mark in reversed(list(re.finditer(style.end, piece))):
        if piece[mark.end() : cut].strip():
            break
        cut = mark.start()
    return piece[:cut].strip()
