"""Prompt templates: render an example into spans of text, and mark the answer.

Spans are joined into one string before tokenisation; with `join="tokens"` prompts and answers are tokenised
separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Literal, Protocol

from nait.core.addresses import address
from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ConfigError, DataError, first_line
from nait.core.inputs.checks import check_choice
from nait.core.inputs.paths import at_home
from nait.core.inputs.repeated_keys import repeated_in_yaml, repeated_key_error
from nait.models.prompts.answer_span import Chat, place_answer
from nait.models.prompts.fields import PROMPT, SYSTEM, check_names, filled, shows
from nait.models.prompts.frozen_clock import DAY, freeze_clock, midnight
from nait.models.prompts.lost_text import check_shown

CHAT_VERSION = 2
"""Version 2 finds an answer by the template's mask or a sentinel, not by the first match of its text."""
Kind = Literal["prompt", "answer", "end", "close"]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text. `data` marks text that came from a row: special tokens in it stay text.

    A span of kind "end" closes a turn; an empty one is the tokenizer's end token. A span of kind "close" closes a
    turn whose answer is context, and is neither scored nor trained.
    """

    text: str
    kind: Kind
    data: bool = False


class Template(Protocol):
    """Renders examples. `digest` identifies everything that determines the text and its tokens."""

    @property
    def eos(self) -> Literal["never", "train", "always"]: ...

    @property
    def join(self) -> Literal["text", "tokens"]: ...

    @property
    def boundary(self) -> Literal["prefix", "offsets"]: ...

    @property
    def digest(self) -> str: ...

    @property
    def adds_bos(self) -> bool: ...

    def spans(self, example: Example, tokenizer: Any) -> list[Span]: ...


@dataclass(frozen=True)
class TextTemplate:
    """A template given as text, with the fields `{instruction}`, `{input}`, `{user}` and `{system}`.

    `prompt_with_input` (null: `prompt`) is used for rows with an input. `{user}` is the instruction, followed by the
    input, if any, on the next line. `system` precedes the first prompt of a row with a system message. `suffix`
    follows every answer, is scored and trained, and may contain special tokens; `separator` goes between turns.
    `strip` removes white space around the fields. A row with a field that no key shows is refused before a model is
    opened.

    `eos`: "train" adds the tokenizer's end token for training only, so that a scored text ends with the
    answer's last token; "always" scores it too, "never" omits it. The effect on a selection depends on the model
    (nait/neurons/README.md).
    `boundary`: "prefix" starts an answer after as many tokens as the text before it has when tokenised alone (as in
    the published code); "offsets" starts it at the first token that contains one of its characters.
    `unconditional` allows a prompt without the instruction, for the unconditional loss of an IFD score.
    """

    prompt: str
    prompt_with_input: str | None = None
    system: str = "{system}\n\n"
    suffix: str = ""
    separator: str = "\n\n"
    strip: bool = False
    join: Literal["text", "tokens"] = "text"
    boundary: Literal["prefix", "offsets"] = "prefix"
    bos: bool = True
    eos: Literal["never", "train", "always"] = "train"
    unconditional: bool = False

    def __post_init__(self) -> None:
        check_choice("template.join", self.join, ("text", "tokens"))
        check_choice("template.boundary", self.boundary, ("prefix", "offsets"))
        check_choice("template.eos", self.eos, ("never", "train", "always"))
        check_names(self.system, SYSTEM, key="system")
        for key in ("suffix", "separator"):
            check_names(getattr(self, key), (), key=key)
        for key in ("prompt", "prompt_with_input"):
            self._check_prompt(key, getattr(self, key) or "")

    def _check_prompt(self, key: str, prompt: str) -> None:
        """Raises: ConfigError for a prompt that does not show the instruction, or the input if it is for one."""
        check_names(prompt, PROMPT, key=key)
        if self.unconditional or (key != "prompt" and not prompt):
            return
        if not shows(prompt, "instruction", "user"):
            raise ConfigError(
                "the prompt shows no instruction",
                where=f"template.{key}",
                fix="Write {instruction} or {user} where the instruction belongs.",
            )
        if key == "prompt_with_input" and not shows(prompt, "input", "user"):
            raise ConfigError(
                "the prompt for rows with an input does not show it",
                where=f"template.{key}",
                fix="Write {input} where the input belongs.",
            )

    @property
    def digest(self) -> str:
        return address(self)

    @property
    def adds_bos(self) -> bool:
        return self.bos

    def spans(self, example: Example, tokenizer: Any) -> list[Span]:  # noqa: ARG002
        spans: list[Span] = []
        if example.system:
            spans += _fill(self.system, {"system": example.system})
        for number, turn in enumerate(example.turns):
            if number:
                spans.append(Span(self.separator, "prompt"))
            spans += self._turn(turn)
        return [span for span in spans if span.text or span.kind in ("end", "close")]

    def _turn(self, turn: Turn) -> Iterator[Span]:
        clean = str.strip if self.strip else str
        instruction, extra, answer = clean(turn.instruction), clean(turn.input), clean(turn.answer)
        has_input = bool(extra.strip())
        pattern = self.prompt_with_input if has_input and self.prompt_with_input else self.prompt
        user = f"{instruction}\n{extra}" if has_input else instruction
        yield from _fill(pattern, {"instruction": instruction, "input": extra, "user": user})
        yield Span(answer, "answer" if turn.trained else "prompt", data=True)
        yield Span(self.suffix, "answer" if turn.trained else "prompt")
        yield Span("", "end" if turn.trained else "close")

    def check_row(self, example: Example) -> None:
        """Check that the template shows every field of the row, unless it is unconditional.

        Raises: DataError for a field with visible text that the template omits.
        """
        if self.unconditional:
            return
        if example.system.strip() and not shows(self.system, "system"):
            raise DataError(
                "the template does not show its system message",
                where=f"example {example.id}",
                fix="Write {system} in template.system",
            )
        if self.prompt_with_input or shows(self.prompt, "input", "user"):
            return
        if any(turn.input.strip() for turn in example.turns):
            raise DataError(
                "the template does not show its input",
                where=f"example {example.id}",
                fix="Write {input} in template.prompt_with_input, or {user} for {instruction} in template.prompt",
            )


def _fill(pattern: str, fields: Mapping[str, str]) -> Iterator[Span]:
    """Separate spans for the pattern's own text and the fields' text."""
    for text, data in filled(pattern, fields):
        yield Span(text, "prompt", data=data)


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
        return freeze_clock(str(tokenizer.get_chat_template()), self.date)

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
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            has_system = messages[0]["role"] == "system"
            raise DataError(
                f"the model's chat template refuses it ({first_line(error)})",
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


def ended(template: Template) -> Template:
    """The template with `eos="always"`: scored texts end with the end token.

    Raises: ConfigError for a template with another `eos` that is not a dataclass.
    """
    if template.eos == "always":
        return template
    given: Any = template
    if not is_dataclass(type(given)):
        raise ConfigError(
            f"{type(template).__name__} is not a dataclass, so its copy with eos=always cannot be made",
            where="selector.end_token",
            fix="Make it a dataclass with a field eos, or set template.eos=always.",
        )
    made: Template = replace(given, eos="always")
    return made


def read_template(path: str) -> TextTemplate:
    """The template in a YAML file with the keys of `TextTemplate` (`template=file`).

    Raises: ConfigError for a missing file, an unknown key, or a repeated key.
    """
    from dataclasses import fields

    import yaml

    from nait.core.errors import did_you_mean

    file = at_home(path)
    if not file.is_file():
        raise ConfigError("there is no such file", where=str(path), fix="Check template.path.")
    try:
        text = file.read_text(encoding="utf-8")
        repeated, content = repeated_in_yaml(yaml.compose(text)), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"this is not YAML ({error})", where=str(path), fix="Correct the file.") from error
    if repeated:
        raise repeated_key_error(repeated[0], f"{path} line {repeated[1]}")
    known = [field.name for field in fields(TextTemplate)]
    for key in content if isinstance(content, dict) else [str(content)]:
        if key not in known:
            raise ConfigError(
                f"'{key}' is not a key of a template", where=str(path), fix=did_you_mean(key, known)
            )
    if "prompt" not in content:
        raise ConfigError("'prompt' is missing", where=str(path), fix="Write the prompt's text.")
    return TextTemplate(**content)
