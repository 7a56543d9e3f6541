"""The prompt template of a chat model: its tokenizer's chat template, with the answers located in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from nait.core.addresses import address
from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ConfigError, DataError, first_line
from nait.core.inputs.checks import check_choice
from nait.models.prompts.answer_span import Chat, place_answer
from nait.models.prompts.frozen_clock import DAY, freeze_clock, midnight
from nait.models.prompts.lost_text import check_shown
from nait.models.prompts.templates import Span

CHAT_VERSION = 3
"""Version 2 finds an answer by the template's mask or a sentinel, not by the first match of its text. Version 3 finds
the end of an answer in a mask by the sentinel, not by the last match of its text."""

REFUSALS = (
    TypeError, ValueError, LookupError, AttributeError, ArithmeticError, MemoryError, RecursionError,
)  # fmt: skip
"""What a template may raise besides errors of Jinja: a range of 10^9, a macro that calls itself, 10 GB of text."""


@dataclass(frozen=True)
class ChatTemplate:
    """The model's own chat template. A row's input follows its instruction on the next line.

    A template that inserts the current date gets `date`. Text that it puts before an answer, such as an empty
    "<think>" block, belongs to the prompt. Scored text ends with the last answer's last token; training includes the
    template's end of turn, which `eos="always"` also scores and `eos="never"` omits. A row is refused if the template
    omits any of its text other than white space.
    """

    eos: Literal["never", "train", "always"] = "train"
    boundary: Literal["prefix", "offsets"] = "offsets"
    date: str = DAY

    def __post_init__(self) -> None:
        check_choice("template.eos", self.eos, ("never", "train", "always"))
        check_choice("template.boundary", self.boundary, ("prefix", "offsets"))
        midnight(self.date)

    @property
    def join(self) -> Literal["text", "tokens"]:
        return "text"

    @property
    def digest(self) -> str:
        return address({"chat": CHAT_VERSION, "template": self})

    @property
    def adds_bos(self) -> bool:
        return False  # the template's text contains it

    def spans(self, example: Example, tokenizer: Any) -> list[Span]:
        if not getattr(tokenizer, "chat_template", None):
            raise ConfigError(
                "the model's tokenizer has no chat template",
                where="template",
                fix="Use template=alpaca or plain.",
            )
        messages: list[dict[str, str]] = []
        if example.system:
            messages.append({"role": "system", "content": example.system})
        spans: list[Span] = []
        done = ""
        for turn in example.turns:
            user = f"{turn.instruction}\n{turn.input}" if turn.input.strip() else turn.instruction
            messages.append({"role": "user", "content": user})
            asked = self._render(tokenizer, messages, example.id, asking=True)
            messages.append({"role": "assistant", "content": turn.answer})
            whole = self._render(tokenizer, messages, example.id, asking=False)
            if not asked.startswith(done) or not whole.startswith(asked):
                raise DataError(
                    "the model's chat template rewrites earlier turns, so answers have no fixed place",
                    where=f"example {example.id}",
                    fix="Use template=alpaca or plain, or split conversations into single turns.",
                )
            where, chat = f"example {example.id}", self._chat(tokenizer, example.id)
            fields = self._fields(example, turn, first=not done)
            check_shown(chat, whole[len(done) :], {**fields, "answer": turn.answer}, where=where)
            spans += _mark(asked[len(done) :], list(fields.values()))
            header, answer, closing = place_answer(chat, messages, asked, whole, where=where)
            spans += [
                Span(header, "prompt"),
                Span(answer, "answer" if turn.trained else "prompt", data=True),
                Span(closing, "end" if turn.trained else "close"),
            ]
            done = whole
        return [span for span in spans if span.text or span.kind != "prompt"]

    def _chat(self, tokenizer: Any, key: str) -> Chat:
        def render(messages: Sequence[dict[str, str]], asking: bool) -> str:
            return self._render(tokenizer, list(messages), key, asking=asking)

        return Chat(self._text(tokenizer), tokenizer, render)

    def _text(self, tokenizer: Any) -> str:
        """The template's source, with `date` in place of today."""
        try:
            return freeze_clock(str(tokenizer.get_chat_template()), self.date)
        except (
            ValueError,
            RecursionError,
        ) as error:  # several templates without a default; too deep to parse
            raise ConfigError(
                f"the model's chat template cannot be read ({first_line(error)})",
                where="template",
                fix="Use template=alpaca or plain.",
            ) from error

    @staticmethod
    def _fields(example: Example, turn: Turn, *, first: bool) -> dict[str, str]:
        fields = {"instruction": turn.instruction, "input": turn.input}
        return {**({"system message": example.system} if first else {}), **fields}

    def _render(self, tokenizer: Any, messages: list[dict[str, str]], key: str, *, asking: bool) -> str:
        """The rendered conversation.

        Raises: DataError if the template refuses it; ConfigError if the template itself is broken.
        """
        from jinja2 import TemplateError, TemplateSyntaxError

        template = self._text(tokenizer)
        try:
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=asking, chat_template=template
            )
        except TemplateSyntaxError as error:
            raise ConfigError(
                f"the model's chat template cannot be read ({first_line(error)})",
                where="template",
                fix="Use template=alpaca or plain.",
            ) from error
        except (TemplateError, *REFUSALS) as error:
            has_system = messages[0]["role"] == "system"
            raise DataError(
                f"the model's chat template refuses it ({first_line(error) or type(error).__name__})",
                where=f"example {key}",
                fix=("Put its system message into the first instruction, or use " if has_system else "Use ")
                + "template=alpaca or plain",
            ) from error
        return str(text)


def _mark(text: str, fields: Sequence[str]) -> list[Span]:
    """The rendered prompt, with the row's fields marked as data, in order of occurrence."""
    spans: list[Span] = []
    for field in fields:
        shown = field if field in text else field.strip()
        if not shown or shown not in text:
            continue
        before, text = text.split(shown, 1)
        spans += [Span(before, "prompt"), Span(shown, "prompt", data=True)]
    return [span for span in (*spans, Span(text, "prompt")) if span.text]
