"""Held-out rows of a reference set as a task of lm-evaluation-harness.

The task asks with the run's own template and scores the answer that the row has. `nll` is the mean negative
log-likelihood of an answer's tokens in nats, averaged over the rows: lower is better. Where all answers are short,
`exact_match` is the share that greedy decoding gives exactly: the answer and then the end that the template trains.
For a template that trains no end, an answer that the model continues counts too. Rows with options are a
multiple-choice task too: `acc_norm` is the share of them whose answer has the highest log-likelihood per character
among the options.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from nait.core.contracts import Model
from nait.core.dataset.contamination import EvaluationText, texts_of
from nait.core.dataset.examples import Example
from nait.core.dataset.held_out_names import CHOICES, ENDED, check_held_out_names, held_out_task
from nait.core.errors import ConfigError
from nait.core.inputs.checks import check_choice
from nait.core.statistics.results import Evaluation, Item, Result
from nait.eval.harness import LmEval
from nait.eval.held_out.answer_tokens import AnswerEval, answer_start
from nait.eval.held_out.held_out_items import (
    HeldOutChoiceItem,
    HeldOutItem,
    choice_item,
    item_of,
    last_turn,
    with_ends,
    write_answers,
    write_choices,
)
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.templates import Template

VERSION = 4
"""Since 2, an answer that the model continues is not an exact match, and an answer is scored as the row writes it.
Since 3, white space at the end of the question is not scored with the answer. Since 4, a warning counts the rows
without an answer, and those whose answer is none of their options."""
BACKENDS = ("shared_prefix", "hf")
"""The backends of this process: a server has no settings here."""
SHORT_WORDS = 5
"""Answers of at most so many words are also compared exactly."""
NO_CHOICE = "held-out rows with options have an answer that is not one of several different options"
CONTEXT_FIX = "Give rows with shorter answers, or a model with a longer context."


@dataclass(frozen=True)
class HeldOut:
    """A suite that is made from held-out reference rows (`nait.core.contracts.HoldsOut`).

    `held_out`: the share of each reference set. `test`: a file of test rows instead; then all references stay.
    `backend`, `batch_tokens`, `batch_size`, `merge_adapter`: see `LmEval`.
    """

    held_out: float = 0.3
    test: str | None = None
    backend: Literal["shared_prefix", "hf"] = "shared_prefix"
    batch_tokens: int | Literal["auto"] = "auto"
    batch_size: int | str = 16
    merge_adapter: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if not isinstance(self.held_out, int | float) or not 0 < self.held_out < 1:
            fix = "Give a share between 0 and 1, such as 0.3."
            raise ConfigError(f"'{self.held_out}' is not a share of the rows", where="eval.held_out", fix=fix)
        check_choice("eval.backend", self.backend, BACKENDS)

    def suite_of(
        self, rows: Mapping[str, Sequence[Example]], *, template: Template, model: Model, folder: Path
    ) -> HeldOutSuite:
        """The suite of the held-out rows of each target. Its task files are written to `folder`.

        Raises: ConfigError for targets whose tasks may have one name.
        """
        check_held_out_names(rows)
        tokenizer = model.load_tokenizer() if isinstance(template, ChatTemplate) else None
        left_out: list[str] = []
        tasks: dict[str, HeldOutTask] = {}
        choices: dict[str, HeldOutChoices] = {}
        folder.mkdir(parents=True, exist_ok=True)
        for target, examples in rows.items():
            name = held_out_task(target)
            answered = [one for one in examples if one.answered]
            left_out += _left_out(
                name, len(examples) - len(answered), len(examples), "held-out rows have an empty answer"
            )
            long = beyond_context([item_of(one, template, tokenizer) for one in answered], model)
            left_out += _left_out(name, len(long), len(answered), _beyond(model), CONTEXT_FIX)
            answered = [one for place, one in enumerate(answered) if place not in long]
            made = tuple(item_of(one, template, tokenizer) for one in answered)
            task = HeldOutTask(made, tuple(map(texts_of, answered)))
            if task.short:
                tokenizer = tokenizer or model.load_tokenizer()
                task = replace(task, ended=with_ends(answered, made, template, tokenizer))
            tasks[name] = task
            for asked, items in ((name, task.items), (f"{name}{ENDED}", task.ended)):
                if items:
                    write_answers(folder, asked, items, target)
            own = f"{name}{CHOICES}"
            optional = [one for one in answered if last_turn(one).options]
            other = sum(last_turn(one).offered and not last_turn(one).options for one in answered)
            if other:
                left_out.append(_leaving(own, other, len(optional) + other, NO_CHOICE))
            if optional:
                chosen = [choice_item(one, template, tokenizer) for one in optional]
                fitting = [k for k, one in enumerate(chosen) if not beyond_context(one.options, model)]
                left_out += _left_out(
                    own, len(chosen) - len(fitting), len(chosen), _beyond(model), CONTEXT_FIX
                )
                choices[own] = HeldOutChoices(
                    tuple(chosen[k] for k in fitting), tuple(texts_of(optional[k]) for k in fitting)
                )
                write_choices(folder, own, choices[own].items, target)
        ended = [f"{name}{ENDED}" for name, task in tasks.items() if task.ended]
        harness = AnswerEval(
            [*tasks, *ended, *choices],
            backend=self.backend, batch_tokens=self.batch_tokens, batch_size=self.batch_size,
            merge_adapter=self.merge_adapter, include=[str(folder)],
        )  # fmt: skip
        return HeldOutSuite(harness, tasks, choices, tuple(left_out))


@dataclass(frozen=True)
class HeldOutChoices:
    """The multiple-choice items of one target, and the texts of each row for the contamination check."""

    items: tuple[HeldOutChoiceItem, ...]
    texts: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class HeldOutTask:
    """The items of one target, and the texts of each row for the contamination check.

    `ended`: the items with the end of their answers; empty where answers are long or no end is trained.
    """

    items: tuple[HeldOutItem, ...]
    texts: tuple[tuple[str, ...], ...]
    ended: tuple[HeldOutItem, ...] = ()

    @property
    def short(self) -> bool:
        """Whether all answers are short enough to be compared exactly."""
        return all(len(item.answer.split()) <= SHORT_WORDS for item in self.items)


@dataclass(frozen=True)
class HeldOutSuite:
    """The harness's tasks of held-out rows, with results per answer token.

    `choices`: tasks of rows with options. `left_out`: warnings about rows that are not among the items.
    """

    harness: LmEval
    tasks: Mapping[str, HeldOutTask]
    choices: Mapping[str, HeldOutChoices]
    left_out: tuple[str, ...] = ()

    def without_adapter(self) -> HeldOutSuite:
        """The same suite for a model without an adapter, see `LmEval.without_adapter`."""
        return replace(self, harness=self.harness.without_adapter())

    def check(self) -> None:
        """Raises: ConfigError, see `LmEval.check`."""
        self.harness.check()

    def key(self) -> Mapping[str, Any]:
        """Everything that decides the numbers: the harness's settings, the rendered rows, and how they are scored.

        The tasks that only complete another task's results are not among the requested ones.
        """
        return {**self.harness.key(), "requested": [*self.tasks, *self.choices], "held_out": VERSION}

    def sizes(self) -> Mapping[str, int]:
        """Task -> its number of items."""
        own = {name: len(task.items) for name, task in self.tasks.items()}
        return own | {name: len(task.items) for name, task in self.choices.items()}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Requested name -> task -> its number of items, see `LmEval.counts`."""
        return self.harness.counts()

    def part(self, items: Mapping[str, int]) -> LmEval:
        """The harness's evaluation of so many items of these tasks: it takes the same time."""
        return self.harness.part(items)

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        """Task -> the texts of each row, without the template around them."""
        texts = {name: task.texts for name, task in self.tasks.items()}
        texts |= {name: task.texts for name, task in self.choices.items()}
        return {
            name: [EvaluationText(str(place), one) for place, one in enumerate(rows)]
            for name, rows in texts.items()
        }

    def evaluate(self, model: Model, adapter: Path | None, *, folder: Path) -> Evaluation:
        """The results of the model with its adapter. Raises: NaitError, see `LmEval.evaluate`."""
        found = self.harness.evaluate(model, adapter, folder=folder)
        tokenizer = model.load_tokenizer()
        counts = {name: _token_counts(task.items, tokenizer) for name, task in self.tasks.items()}
        items = [
            replace(item, metric="nll", value=-item.value / counts[item.task][item.doc_id])
            for item in found.items
            if item.metric == "perplexity" and item.task in counts
        ]
        exact = {
            f"{name}{ENDED}" if task.ended else name: name for name, task in self.tasks.items() if task.short
        }
        items += [
            replace(item, task=exact[item.task], metric="exact_match")
            for item in found.items
            if item.metric == "acc" and item.task in exact
        ]
        results = [_result(name, metric, items) for name in self.tasks for metric in ("nll", "exact_match")]
        items += [item for item in found.items if item.task in self.choices]
        chosen = [one for one in found.results if one.task in self.choices]
        return replace(
            found, results=(*(one for one in results if one.n), *chosen), items=tuple(items),
            warnings=(*self.left_out, *found.warnings),
        )  # fmt: skip

    def assist(self, model: Model, adapter: Path | None) -> None:
        """This process's share of `evaluate`, which rank 0 calls with the same model and adapter. Writes nothing."""
        self.harness.assist(model, adapter)


def beyond_context(items: Sequence[HeldOutItem], model: Model) -> set[int]:
    """The places of the items whose answer has more tokens than the model's context: it has no likelihood.

    Texts are tokenized only where their bytes exceed the context.
    """
    context: int | None = getattr(model, "context", lambda: None)()
    if context is None:
        return set()
    long = [k for k, one in enumerate(items) if len(one.answer.encode()) >= context]
    counts = _token_counts([items[k] for k in long], model.load_tokenizer()) if long else []
    return {k for k, count in zip(long, counts, strict=True) if count > context}


def _beyond(model: Model) -> str:
    return f"held-out rows have an answer longer than the context of '{model.name}'"


def _left_out(name: str, count: int, of: int, what: str, fix: str = "Give rows with answers.") -> list[str]:
    """A warning about rows that are left out of a task. Raises: ConfigError if no row is left."""
    if not count:
        return []
    if count == of:
        raise ConfigError(f"{count} of {of} {what}", where=name, fix=fix)
    return [_leaving(name, count, of, what)]


def _leaving(name: str, count: int, of: int, what: str) -> str:
    return f"{name}: {count} of {of} {what}, and are left out"


def _token_counts(items: Sequence[HeldOutItem], tokenizer: Any) -> list[int]:
    """Tokens of each answer [N], as they are scored."""

    def encoded(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    counts = []
    for item in items:
        whole = encoded(item.question + item.answer)
        counts.append(max(1, len(whole) - answer_start(encoded(item.question), whole)))
    return counts


def _result(task: str, metric: str, items: Sequence[Item]) -> Result:
    """The mean over the items of a task, with its standard error."""
    values = [item.value for item in items if (item.task, item.metric) == (task, metric)]
    stderr = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return Result(
        task, metric, statistics.fmean(values) if values else 0.0, stderr, len(values), num_fewshot=0,
        higher_is_better=metric != "nll", primary=metric == "nll",
    )  # fmt: skip
