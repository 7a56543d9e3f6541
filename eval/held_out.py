"""Held-out rows of a reference set as a task of lm-evaluation-harness.

The task asks with the run's own template and scores the answer that the row has. `nll` is the mean negative
log-likelihood of an answer's tokens in nats, averaged over the rows: lower is better. Where all answers are short,
`exact_match` is the share that greedy decoding gives exactly: the answer and then the end that the template trains.
For a template that trains no end, an answer that the model continues counts too.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nait.core.contracts import Model
from nait.core.dataset.contamination import EvaluationText, texts_of
from nait.core.dataset.examples import Example
from nait.core.errors import ConfigError
from nait.core.statistics.results import Evaluation, Item, Result
from nait.eval.harness import Backend, LmEval
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.templates import Template
from nait.store import whole_file, write_text

VERSION = 2
"""Since 2, an answer that the model continues is not an exact match, and an answer is scored as the row writes it."""
SHORT_WORDS = 5
"""Answers of at most so many words are also compared exactly."""
ENDED = "_ended"
"""The end of the name of a task that asks whether greedy decoding gives an answer and then ends."""
# The fields are named, not rendered: the harness would take a rendered "[1, 2]" for a list.
TASK = """\
# Held-out rows of the target '{target}': the log-likelihood of their answers, and whether greedy decoding gives them.
task: {name}
dataset_path: arrow
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
output_type: loglikelihood
doc_to_text: question
doc_to_target: answer
target_delimiter: ""
metric_list:
  - metric: perplexity
    aggregation: mean
    higher_is_better: true
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""


@dataclass(frozen=True)
class HeldOut:
    """A suite that is made from held-out reference rows (`nait.core.contracts.HoldsOut`).

    `held_out`: the share of each reference set. `test`: a file of test rows instead; then all references stay.
    `backend`, `batch_tokens`, `batch_size`: see `LmEval`.
    """

    held_out: float = 0.3
    test: str | None = None
    backend: Backend = "shared_prefix"
    batch_tokens: int = 16384
    batch_size: int | str = 16

    def __post_init__(self) -> None:
        if not isinstance(self.held_out, int | float) or not 0 < self.held_out < 1:
            fix = "Give a share between 0 and 1, such as 0.3."
            raise ConfigError(f"'{self.held_out}' is not a share of the rows", where="eval.held_out", fix=fix)

    def suite_of(
        self, rows: Mapping[str, Sequence[Example]], *, template: Template, model: Model, folder: Path
    ) -> HeldOutSuite:
        """The suite of the held-out rows of each target. Its task files are written to `folder`."""
        tokenizer = model.load_tokenizer() if isinstance(template, ChatTemplate) else None
        tasks = {}
        folder.mkdir(parents=True, exist_ok=True)
        for number, (target, examples) in enumerate(rows.items()):
            plain = re.sub(r"[^\w.-]", "_", target)
            name = f"heldout_{plain}" + (f"_{number}" if f"heldout_{plain}" in tasks else "")
            answered = [one for one in examples if one.answered]
            made = tuple(_item(one, template, tokenizer) for one in answered)
            task = HeldOutTask(made, tuple(map(texts_of, answered)))
            if task.short:
                tokenizer = tokenizer or model.load_tokenizer()
                task = replace(task, ended=_ended(answered, made, template, tokenizer))
            tasks[name] = task
            for asked, items in ((name, task.items), (f"{name}{ENDED}", task.ended)):
                if items:
                    _write(folder, asked, items, target)
        harness = LmEval(
            [*tasks, *(f"{name}{ENDED}" for name, task in tasks.items() if task.ended)],
            backend=self.backend, batch_tokens=self.batch_tokens, batch_size=self.batch_size, include=[str(folder)],
        )  # fmt: skip
        return HeldOutSuite(harness, tasks)


@dataclass
class HeldOutItem:
    """The rendered text before a row's last answer, and the answer."""

    question: str
    answer: str


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
    """The harness's tasks of held-out rows, with results per answer token."""

    harness: LmEval
    tasks: Mapping[str, HeldOutTask]

    def check(self) -> None:
        """Raises: ConfigError, see `LmEval.check`."""
        self.harness.check()

    def key(self) -> Mapping[str, Any]:
        """Everything that decides the numbers: the harness's settings, the rendered rows, and how they are scored."""
        return {**self.harness.key(), "held_out": VERSION}

    def sizes(self) -> Mapping[str, int]:
        """Task -> its number of items."""
        return {name: len(task.items) for name, task in self.tasks.items()}

    def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Requested name -> task -> its number of items, see `LmEval.counts`."""
        return self.harness.counts()

    def part(self, items: Mapping[str, int]) -> LmEval:
        """The harness's evaluation of so many items of these tasks: it takes the same time."""
        return self.harness.part(items)

    def items(self) -> Mapping[str, Sequence[EvaluationText]]:
        """Task -> the texts of each row, without the template around them."""
        return {
            name: [EvaluationText(str(place), texts) for place, texts in enumerate(task.texts)]
            for name, task in self.tasks.items()
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
        return replace(found, results=tuple(one for one in results if one.n), items=tuple(items))

    def assist(self, model: Model, adapter: Path | None) -> None:
        """This process's share of `evaluate`, which rank 0 calls with the same model and adapter. Writes nothing."""
        self.harness.assist(model, adapter)


def _item(example: Example, template: Template, tokenizer: Any) -> HeldOutItem:
    """The item of a row: its last trained answer, with the template's suffix, and the text before it."""
    spans = [span for span in template.spans(example, tokenizer) if span.text]
    end = max(place for place, span in enumerate(spans) if span.kind == "answer") + 1
    start = end - 1
    while start and spans[start - 1].kind == "answer":
        start -= 1
    texts = [span.text for span in spans]
    return HeldOutItem("".join(texts[:start]), "".join(texts[start:end]))


def _ended(
    examples: Sequence[Example], items: Sequence[HeldOutItem], template: Template, tokenizer: Any
) -> tuple[HeldOutItem, ...]:
    """The items with the end of their answers; empty for a template that trains no end."""
    ends = [_end(one, template, tokenizer) for one in examples]
    if template.eos == "never" or not all(ends):
        return ()
    return tuple(HeldOutItem(item.question, item.answer + end) for item, end in zip(items, ends, strict=True))


def _end(example: Example, template: Template, tokenizer: Any) -> str:
    """The text that ends a row's last trained answer in training: a chat template's own, or the tokenizer's token."""
    spans = template.spans(example, tokenizer)
    last = max(place for place, span in enumerate(spans) if span.kind == "answer" and span.text)
    end = next((span.text.rstrip() for span in spans[last + 1 :] if span.kind == "end"), "")
    return end or str(getattr(tokenizer, "eos_token", None) or "")


def _write(folder: Path, name: str, items: Sequence[HeldOutItem], target: str) -> None:
    """Write the items of a task as typed columns, in which a date stays the text that it is, and the task's file."""
    import pyarrow as pa

    data = (folder / f"{name}.arrow").resolve()
    columns = {
        key: pa.array([vars(item)[key] for item in items], pa.string()) for key in ("question", "answer")
    }
    table = pa.table(columns)
    with whole_file(data) as part, pa.ipc.new_stream(str(part), table.schema) as stream:
        stream.write_table(table)
    about = TASK.format(target=json.dumps(target)[1:-1], name=json.dumps(name), data=json.dumps(str(data)))
    write_text(folder / f"{name}.yaml", about)


def _token_counts(items: Sequence[HeldOutItem], tokenizer: Any) -> list[int]:
    """Tokens of each answer [N], as the harness counts them: the whole text minus the question."""

    def length(text: str) -> int:
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    counts = []
    for item in items:
        question = item.question.rstrip()  # the harness moves trailing spaces to the answer
        counts.append(max(1, length(item.question + item.answer) - length(question)))
    return counts


def _result(task: str, metric: str, items: Sequence[Item]) -> Result:
    """The mean over the items of a task, with its standard error."""
    values = [item.value for item in items if (item.task, item.metric) == (task, metric)]
    stderr = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else None
    return Result(
        task, metric, statistics.fmean(values) if values else 0.0, stderr, len(values), num_fewshot=0,
        higher_is_better=metric != "nll", primary=metric == "nll",
    )  # fmt: skip
