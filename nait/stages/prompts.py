"""Prompts of training and of evaluation, held against each other."""

from __future__ import annotations

from typing import Any

from nait.models.templates import ChatTemplate, Template


def prompt_mismatch(template: Template, evaluator: Any) -> list[str]:
    """A warning where one of training and evaluation uses the model's chat template and the other does not.

    `evaluator`: any; one without `apply_chat_template` says nothing of its prompts, and no warning is given.
    """
    asked = getattr(evaluator, "apply_chat_template", None)
    trained = isinstance(template, ChatTemplate)
    if asked is None or bool(asked) == trained:
        return []
    if trained:
        return [
            "Training uses the model's chat template and the evaluation does not: scores come from prompts the "
            "model was not tuned for. Set eval.apply_chat_template=true."
        ]
    return [
        "The evaluation uses the model's chat template and training does not: scores come from prompts the model "
        "was not tuned for. Set template=chat, or eval.apply_chat_template=false."
    ]
