"""Items of held-out rows, and their tasks as files of lm-evaluation-harness."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nait.core.dataset.examples import Example, Turn
from nait.models.prompts.templates import Template
from nait.store import whole_file, write_text

# The fields are named, not rendered: the harness would take a rendered "[1, 2]" for a list.
TASK = """\
# Held-out rows of the target '{target}': {what}.
task: {name}
dataset_path: arrow
dataset_kwargs:
  data_files:
    test: {data}
test_split: test
doc_to_text: question
target_delimiter: ""
{scoring}
metadata:
  version: 1.0
"""
ANSWER_SCORING = """\
output_type: loglikelihood
doc_to_target: answer
metric_list:
  - metric: perplexity
    aggregation: mean
    higher_is_better: true
  - metric: acc
    aggregation: mean
    higher_is_better: true"""
CHOICE_SCORING = """\
output_type: multiple_choice
doc_to_target: gold
doc_to_choice: choices
metric_list:
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true"""


@dataclass
class HeldOutItem:
    """The rendered text before a row's last answer, and the answer."""

    question: str
    answer: str


@dataclass
class HeldOutChoiceItem:
    """The rendered text before a row's last answer, all answers to choose from, and the number of the right one."""

    question: str
    choices: list[str]
    gold: int

    @property
    def options(self) -> list[HeldOutItem]:
        """An item for each of the answers to choose from."""
        return [HeldOutItem(self.question, one) for one in self.choices]


def item_of(example: Example, template: Template, tokenizer: Any) -> HeldOutItem:
    """The item of a row: its last trained answer, with the template's suffix, and the text before it."""
    spans = [span for span in template.spans(example, tokenizer) if span.text]
    end = max(place for place, span in enumerate(spans) if span.kind == "answer") + 1
    start = end - 1
    while start and spans[start - 1].kind == "answer":
        start -= 1
    texts = [span.text for span in spans]
    return HeldOutItem("".join(texts[:start]), "".join(texts[start:end]))


def last_turn(example: Example) -> Turn:
    """The turn with the last trained answer, which is the item's."""
    return [turn for turn in example.turns if turn.trained and turn.answer.strip()][-1]


def choice_item(example: Example, template: Template, tokenizer: Any) -> HeldOutChoiceItem:
    """The item of a row with options: each option in place of the answer, as the template writes it."""
    last = last_turn(example)
    place = max(i for i, turn in enumerate(example.turns) if turn is last)

    def item(option: str) -> HeldOutItem:
        turns = (*example.turns[:place], replace(last, answer=option), *example.turns[place + 1 :])
        return item_of(replace(example, turns=turns), template, tokenizer)

    items = [item(option) for option in last.options]
    texts = [one.answer for one in items]
    return HeldOutChoiceItem(items[0].question, texts, last.options.index(last.answer))


def with_ends(
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


def write_answers(folder: Path, name: str, items: Sequence[HeldOutItem], target: str) -> None:
    """Write the task of these answers."""
    import pyarrow as pa

    columns = {
        key: pa.array([vars(item)[key] for item in items], pa.string()) for key in ("question", "answer")
    }
    what = "the log-likelihood of their answers, and whether greedy decoding gives them"
    _write(folder, name, columns, target, what, ANSWER_SCORING)


def write_choices(folder: Path, name: str, items: Sequence[HeldOutChoiceItem], target: str) -> None:
    """Write the task of these multiple-choice items."""
    import pyarrow as pa

    columns = {
        "question": pa.array([item.question for item in items], pa.string()),
        "choices": pa.array([item.choices for item in items], pa.list_(pa.string())),
        "gold": pa.array([item.gold for item in items], pa.int64()),
    }
    _write(folder, name, columns, target, "whether the likeliest of their options is right", CHOICE_SCORING)


def _write(folder: Path, name: str, columns: Mapping[str, Any], target: str, what: str, scoring: str) -> None:
    """Write the items of a task as typed columns, in which a date stays the text that it is, and the task's file."""
    import pyarrow as pa

    data = (folder / f"{name}.arrow").resolve()
    table = pa.table(dict(columns))
    with whole_file(data) as part, pa.ipc.new_stream(str(part), table.schema) as stream:
        stream.write_table(table)
    about = TASK.format(
        target=json.dumps(target)[1:-1], what=what, name=json.dumps(name), data=json.dumps(str(data)),
        scoring=scoring,
    )  # fmt: skip
    write_text(folder / f"{name}.yaml", about)
