"""Prompts of training and of evaluation, held against each other; those of the evaluation, tried beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.contracts import Evaluator, Model, Prompting
from nait.models.prompts.templates import ChatTemplate, Template
from nait.store import Store

VERSION = 1


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


def try_prompts(model: Model, evaluator: Evaluator, store: Store) -> None:
    """Checks once a model and suite that the model's chat template takes a prompt of each task.

    `evaluator`: any; one without a chat template, or that cannot write prompts beforehand, is not asked.
    Raises: NaitError that names the task and the mend.
    """
    check = evaluator.check_prompts if isinstance(evaluator, Prompting) else None
    if check is None or not getattr(evaluator, "apply_chat_template", False):
        return
    key = {"prompts": VERSION, "model": model.fingerprint, "suite": evaluator.key()}

    def write(part: Path) -> Mapping[str, Any]:  # noqa: ARG001
        check(model)
        return {}

    store.produce("prompts", key, write)
