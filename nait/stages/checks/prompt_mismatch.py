"""Checks of prompts: training and evaluation agree, and each task's prompts can be made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.contracts import Evaluator, Model, Prompting
from nait.models.prompts.chat_template import ChatTemplate
from nait.models.prompts.frozen_clock import DAY
from nait.models.prompts.templates import Template
from nait.store import Store

VERSION = 1
CHECKED = ("apply_chat_template", "shows_examples", "imports_functions")
"""Attributes of an evaluator; prompts are checked if one of them is true."""


def prompt_mismatch(template: Template, evaluator: Any) -> list[str]:
    """Warning where only one of training and evaluation uses the model's chat template, or they use different dates.

    An evaluator without the attribute `apply_chat_template` is not checked.
    """
    asked = getattr(evaluator, "apply_chat_template", None)
    trained = isinstance(template, ChatTemplate)
    if isinstance(template, ChatTemplate) and asked and template.date != DAY:
        return [
            f"The evaluation's prompts have the date {DAY} where the model's chat template inserts one, and training "
            f"has {template.date}. Set template.date={DAY}."
        ]
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


def try_prompts(model: Model, evaluator: Evaluator, store: Store) -> None:
    """Check the prompts of each task before training. The store keeps a passed check.

    An evaluator without `check_prompts` is not checked, nor one without a chat template, few-shot examples and
    imported functions.
    Raises: NaitError that names the task and the fix.
    """
    check = evaluator.check_prompts if isinstance(evaluator, Prompting) else None
    asked = any(getattr(evaluator, name, None) for name in CHECKED)
    if check is None or not asked:
        return
    key = {"prompts": VERSION, "model": model.fingerprint, "suite": evaluator.key()}

    def write(part: Path) -> Mapping[str, Any]:  # noqa: ARG001
        check(model)
        return {}

    store.produce("prompts", key, write)
