"""Documents and prompts of the nano tasks: held-out items of the embedded world, generated on demand."""

from __future__ import annotations

from typing import Any

import datasets

from nait.nano import world
from nait.nano.prompt import prompt


def items(capability: str, n: int = 200, seed: int = 0, **_metadata: Any) -> dict[str, datasets.Dataset]:
    """`n` evaluation items of a capability as the split `test`. The task's metadata may set `n` and `seed`."""
    return {"test": datasets.Dataset.from_list(world.evaluation_rows(capability, n, seed))}


def text(doc: dict[str, Any]) -> str:
    """The prompt, in the template of pretraining and fine-tuning."""
    return prompt(doc["instruction"], doc["input"])


def target(doc: dict[str, Any]) -> str:
    """The right answer, as text. A Jinja template would parse a printed list into several right answers."""
    return str(doc["answer"])
