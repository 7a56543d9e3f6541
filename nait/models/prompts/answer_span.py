"""Answer spans: the place of the assistant's text in the output of a chat template.

The first of three methods that applies: the template's own mask (`{% generation %}` blocks); a second rendering with
a sentinel in place of the answer; the last match of the answer's text. The first match would be wrong: it takes the
"k" of a template's own "<think>" for the answer "k".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from nait.core.errors import ConfigError, DataError

Message = dict[str, str]
Render = Callable[[Sequence[Message], bool], str]
"""(messages, whether to append the generation prompt) -> the template's text."""

_GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
_SENTINEL = "nait answer 7c1e"


class PlacedAnswer(NamedTuple):
    """The parts of a template's text after its generation prompt: its own text, the answer, its closing text."""

    header: str
    answer: str
    closing: str


@dataclass(frozen=True)
class Chat:
    """A tokenizer's chat template, compared by its text."""

    text: str
    tokenizer: Any = field(compare=False, repr=False)
    render: Render = field(compare=False, repr=False)


def place_answer(
    chat: Chat, messages: Sequence[Message], asked: str, whole: str, *, where: str
) -> PlacedAnswer:
    """The parts of `whole` after `asked`, the rendered prompt. The last of `messages` is the answer.

    Raises: ConfigError for a template that does not show the assistant's text; DataError for one that changes it.
    """
    rest, answer = whole[len(asked) :], messages[-1]["content"]
    if _GENERATION.search(chat.text):
        try:
            framed = _framed(chat, messages, asked, whole)
        except ConfigError:  # a template that cuts answers, such as the sentinel
            framed = None
        found = _masked(chat, messages, len(asked), whole, framed)
        if found is not None:
            return found
    return _framed(chat, messages, asked, whole) or _last_match(rest, answer, where)


def _framed(chat: Chat, messages: Sequence[Message], asked: str, whole: str) -> PlacedAnswer | None:
    """The parts by a rendering with a sentinel in place of the answer; None if the template depends on answers."""
    rest, answer = whole[len(asked) :], messages[-1]["content"]
    try:
        found = _between(rest, answer, _frame(chat))
    except DataError:  # such as a template that requires a system message
        found = None
    if found is not None:
        return found
    mark = _absent(_SENTINEL, whole)
    other = chat.render([*messages[:-1], {**messages[-1], "content": mark}], False)
    header, seen, closing = other[len(asked) :].partition(mark)
    return _between(rest, answer, (header, closing)) if seen and other.startswith(asked) else None


@lru_cache(maxsize=8)
def _frame(chat: Chat) -> tuple[str, str]:
    """The template's text before and after the answer of a minimal conversation.

    Raises: ConfigError for a template that does not show the assistant's text.
    """
    question = {"role": "user", "content": "?"}
    asked = chat.render([question], True)
    whole = chat.render([question, {"role": "assistant", "content": _SENTINEL}], False)
    header, seen, closing = whole[len(asked) :].partition(_SENTINEL)
    if not seen:
        raise ConfigError(
            "the model's chat template does not show the assistant's text",
            where="template",
            fix="Use template=alpaca or plain.",
        )
    return header, closing


def _between(rest: str, answer: str, frame: tuple[str, str]) -> PlacedAnswer | None:
    """The parts of `rest` if it is the answer in this frame, up to white space around it; else None."""
    header, closing = frame
    if not (rest.startswith(header) and rest.endswith(closing) and len(header) + len(closing) <= len(rest)):
        return None
    shown = rest[len(header) : len(rest) - len(closing)]
    return PlacedAnswer(header, shown, closing) if shown.strip() == answer.strip() else None


def _absent(mark: str, text: str) -> str:
    while mark in text:
        mark += "x"
    return mark


def _masked(
    chat: Chat, messages: Sequence[Message], begin: int, whole: str, framed: PlacedAnswer | None
) -> PlacedAnswer | None:
    """The parts by the template's generation block, which holds the answer and the text after it.

    The answer ends where it does in `framed`: its words may be part of the block's own text, as "end" is of
    "<|im_end|>". Without that, it ends with the last match of its text.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    texts, blocks = render_jinja_template(
        conversations=[list(messages)],
        chat_template=chat.text,
        return_assistant_tokens_mask=True,
        **chat.tokenizer.special_tokens_map,
    )
    last = [(start, stop) for start, stop in blocks[0] if stop > begin]
    if texts[0] != whole or len(last) != 1:
        return None
    start, stop = max(begin, last[0][0]), last[0][1]
    answer = messages[-1]["content"].strip()
    at = whole.rfind(answer, start, stop) if answer else -1
    end = at + len(answer) if at >= 0 else stop
    if framed is not None:
        end = max(start, min(stop, len(whole) - len(framed.closing)))
    return PlacedAnswer(whole[begin:start], whole[start:end], whole[end:])


def _last_match(rest: str, answer: str, where: str) -> PlacedAnswer:
    for text in (answer, answer.strip()):
        at = rest.rfind(text)
        if text and at >= 0:
            return PlacedAnswer(rest[:at], text, rest[at + len(text) :])
    raise DataError(
        "the model's chat template changes the answer's text",
        where=where,
        fix="Use template=alpaca or plain.",
    )
