"""Laws of prompts: a chat template in training alone, or in evaluation alone, is a warning."""

from __future__ import annotations

import pytest

from nait.eval.harness import LmEval
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.templates import TextTemplate
from nait.stages.checks.prompt_mismatch import prompt_mismatch

TEXT = TextTemplate(prompt="{user}\n")


@pytest.mark.parametrize(
    ("template", "asked", "fix"),
    [
        (ChatTemplate(), False, "eval.apply_chat_template=true"),
        (TEXT, True, "template=chat"),
        (ChatTemplate(), True, None),
        (ChatTemplate(date="2026-01-31"), True, "template.date=2024-07-26"),
        (ChatTemplate(date="2026-01-31"), False, "eval.apply_chat_template=true"),
        (TEXT, False, None),
    ],
)
def test_training_and_evaluation_prompts_that_differ_are_a_warning(
    template: TextTemplate | ChatTemplate, asked: bool, fix: str | None
) -> None:
    said = prompt_mismatch(template, LmEval(tasks=["nano_math"], apply_chat_template=asked))
    assert [fix in text for text in said] == ([True] if fix else [])


def test_an_evaluator_without_prompt_facts_gives_no_warning() -> None:
    assert prompt_mismatch(ChatTemplate(), object()) == []
