"""Prompt templates: render an example into spans of text, and mark the answer. Here: templates given as text.

Spans are joined into one string before tokenisation; with `join="tokens"` prompts and answers are tokenised
separately.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, is_dataclass, replace
from typing import Any, Literal, Protocol

from nait.core.addresses import address
from nait.core.dataset.examples import Example, Turn
from nait.core.errors import ConfigError, DataError
from nait.core.inputs.checks import check_choice
from nait.core.inputs.paths import at_home
from nait.core.inputs.regular_files import regular_text
from nait.core.inputs.repeated_keys import repeated_in_yaml, repeated_key_error, yaml_of
from nait.models.prompts.fields import PROMPT, SYSTEM, check_names, filled, shows

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
        text = regular_text(file)
        repeated, content = repeated_in_yaml(yaml.compose(text)), yaml_of(text, yaml)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
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
