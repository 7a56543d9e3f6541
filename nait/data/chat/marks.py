"""Role markers of transcripts: the text that introduces each speaker, per style. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from nait.data.chat.fences import mask_fences, without_code

TEMPLATE = "chat-template markers, read as text"
_MARKERS = (
    "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|eot_id|>", "<|endoftext|>", "<start_of_turn>",
    "<end_of_turn>", "[/INST]", "<｜Assistant｜>",
    "<extra_id_1>",
)  # fmt: skip
_END_MARKERS = (
    "Assistant:",
    "ASSISTANT:",
    "### Response:",
    "### Output:",
    "### Answer:",
    "<|assistant|>",
    "</s>",
)
"""Chat-template markers: `_MARKERS` anywhere in a text, `_END_MARKERS` at its end."""
PROMPT_ENDS = (
    *(one for one in _END_MARKERS if one != "</s>"),
    "assistant", "<|end_header_id|>", "<|header_end|>", "<|end_of_role|>", "<|message|>",
    "<|CHATBOT_TOKEN|>", "<|Assistant|>", "<\uff5cAssistant\uff5c>", "<start_of_turn>model", "[|AI|]", "[/INST]",
    "<extra_id_1>Assistant", "<bot>:", "[MOSS]:", "### Response", "### Output", "### Answer", "Bot:",
)  # fmt: skip
"""Ends of a prompt that is a transcript, without blanks."""
CALLED = "a tool call in an answer, read as text"
_CALLS = ("<tool_call>", "<functioncall>", "[TOOL_CALLS]", "<|python_tag|>")
_ENDS = r"</s>|<\|endoftext\|>"


class Marks(NamedTuple):
    """Role markers of one transcript style: regular expressions before each text, and end markers to strip."""

    user: str
    assistant: str
    system: str = r"(?!)"
    input: str = r"(?!)"
    end: str = r"(?!)"
    preamble: bool = False
    """Whether text before the first marker is boilerplate of the style rather than a system message."""
    first: bool = False
    """Whether the text must begin with a marker, because ordinary text contains these markers too."""


def _lines(user: str, assistant: str, *, system: str = "", input: str = "") -> Marks:
    """Style with names and a colon at the start of a line, optionally in bold."""

    def mark(names: str) -> str:
        return rf"(?:^|\n)[ \t]*(?:\*\*)?(?:{names})(?:\*\*)?[:\uff1a](?:\*\*)?" if names else r"(?!)"

    return Marks(mark(user), mark(assistant), mark(system), mark(input), end=_ENDS, first=True)


STYLES = (
    Marks(
        r"<\|im_start\|>\s*user\s*\n", r"<\|im_start\|>\s*assistant\s*\n",
        r"<\|im_start\|>\s*(?:system|developer)\s*\n",
        end=r"<\|im_end\|>|<\|endoftext\|>",
    ),
    Marks(
        r"<\|start_header_id\|>user<\|end_header_id\|>", r"<\|start_header_id\|>assistant<\|end_header_id\|>",
        r"(?:<\|begin_of_text\|>)?<\|start_header_id\|>(?:system|developer)<\|end_header_id\|>",
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
    Marks(
        r"<[|\uff5c]User[|\uff5c]>", r"<[|\uff5c]Assistant[|\uff5c]>",  # DeepSeek
        end=r"<[|\uff5c]end[_\u2581]of[_\u2581]sentence[|\uff5c]>",
    ),
    Marks(r"<start_of_turn>user\n", r"<start_of_turn>model\n", end=r"<end_of_turn>|<eos>"),
    Marks(
        r"<\|(?:user|prompter)\|>", r"<\|assistant\|>", r"<\|system\|>",
        end=r"</s>|<\|end\|>|<\|endoftext\|>|<\|eot_id\|>",
    ),
    Marks(r"\[\|Human\|\]", r"\[\|AI\|\]", preamble=True),
    Marks(r"(?:<s>\s*)?\[INST\]", r"\[/INST\]", r"\[SYSTEM_PROMPT\]", end=r"</s>|\[/SYSTEM_PROMPT\]"),
    Marks(r"<human>:", r"<bot>:"),
    Marks(  # NeMo
        r"<extra_id_1>User\n", r"<extra_id_1>Assistant\n", r"<extra_id_0>System\n", end=r"<extra_id_1>",
    ),
    Marks(r"#{2,3} Human:", r"#{2,3} Assistant:", r"#{2,3} System:", end=r"</s>|<\|endoftext\|>"),
    Marks(
        r"#{2,3} Instruction:", r"#{2,3} (?:Response|Output|Answer):", input=r"#{2,3} Input:",
        end=r"</s>|<\|endoftext\|>|#{2,3} End", preamble=True,
    ),
    Marks(
        r"(?:^|\n\n?|\s)USER:", r"(?:^|\n\n?|\s)ASSISTANT:", r"^SYSTEM:", end=r"</s>|<\|endoftext\|>|<\|im_end\|>",
    ),
    Marks(r"\[Human\]:", r"\[MOSS\]:", end=r"<eoh>|<eoa>"),
    Marks(r"(?:^|\n)[ \t]*(?:Human|H):", r"\n[ \t]*(?:Assistant|A):", end=r"</s>|<\|endoftext\|>"),
    Marks(r"(?:^|\n)User:", r"\n(?:Assistant|Bot):", r"(?:^|\n)System:", end=r"</s>|<\|endoftext\|>"),
    Marks(
        r"#{2,3} User:", r"#{2,3} (?:Assistant|Response):", r"#{2,3} System:", r"#{2,3} Input:", end=_ENDS,
    ),
    Marks(r"#{2,3} Question:", r"#{2,3} Answer:", end=_ENDS, first=True),
    Marks(
        r"(?:^|\n)#{2,3} Instruction[ \t]*\n", r"\n#{2,3} (?:Response|Output|Answer)[ \t]*\n",
        input=r"\n#{2,3} Input[ \t]*\n", end=rf"{_ENDS}|#{{2,3}} End", preamble=True,
    ),
    _lines("Human|User|user|USER", "Assistant|assistant|ASSISTANT|AI|Bot|GPT|ChatGPT|Model", system="System|system"),
    _lines("Question|\u95ee\u9898", "Answer|\u56de\u7b54|\u7b54\u6848"),
    # "A:" followed by a line "B:" is an answer option, not an answer.
    _lines("Q|\u95ee", r"(?:A(?!:[^\n]*\n[ \t]*B:)|Answer|\u7b54)"),
    _lines("Instruction|Instruct", "Response|Output|Answer", input="Input"),
    _lines("Prompt", "Completion|Response"),
    Marks(r"(?:^|\s)Human:", r"\sAssistant:", end=_ENDS, first=True),
    Marks(r"(?:^|\s)Q:", r"\sA:(?!.{0,500}\sB:)", end=_ENDS, first=True),
)  # fmt: skip
KNOWN = (
    "'### Human:' '### Assistant:', 'User:' 'Assistant:', 'Q:' 'A:', '### Instruction:' '### Response:', "
    "<|im_start|>, <|user|>, [INST], <start_of_turn>"
)
"""Common markers, listed in error messages."""


def style_of(text: object) -> Marks | None:
    """First style whose user marker, then assistant marker, occur in the text; None when no style matches.

    Markers inside a code fence are text.
    """
    if not isinstance(text, str):
        return None
    text = mask_fences(text)
    for style in STYLES:
        question = re.search(style.user, text)
        if question is None or (style.first and not _is_first(text, question.start(), style)):
            continue
        if re.search(style.assistant, text[question.end() :]):
            return style
    return None


def _is_first(text: str, start: int, style: Marks) -> bool:
    system = re.search(style.system, text[:start])
    return not text[: system.start() if system else start].strip()


def awaits_answer(text: str) -> bool:
    """Whether a transcript ends with an assistant marker: a prompt whose answer is in another column."""
    style = style_of(text)
    return style is not None and re.search(rf"(?:{style.assistant})$", f"{text.rstrip()}\n") is not None


def first_markers(text: str) -> str:
    """First user and assistant markers of a transcript, as written: "'Q:' and 'A:'"; "" without markers."""
    style = style_of(text)
    text = mask_fences(text)
    question = re.search(style.user, text) if style else None
    answer = re.search(style.assistant, text[question.end() :]) if style and question else None
    return f"'{question[0].strip()}' and '{answer[0].strip()}'" if question and answer else ""


def has_template_markers(text: str) -> bool:
    """Whether a text contains chat-template markers outside of code."""
    if text.rstrip().endswith(_END_MARKERS):
        return True
    return any(mark in text for mark in _MARKERS) and any(mark in without_code(text) for mark in _MARKERS)


def has_tool_call(text: str) -> bool:
    """Whether a text contains chat-template markers of a tool call outside of code."""
    return any(mark in text for mark in _CALLS) and any(mark in without_code(text) for mark in _CALLS)
