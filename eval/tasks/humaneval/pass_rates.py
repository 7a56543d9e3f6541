"""Programs from the answers to HumanEval, and pass@k by running them. nait provides the metric `code_eval`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import evaluate

_metric = evaluate.load("code_eval")


def programs(answers: Sequence[Sequence[str]], items: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Each item's programs: its prompt continued by each answer."""
    return [[item["prompt"] + one for one in given] for given, item in zip(answers, items, strict=True)]


def pass_at_k(references: list[str], predictions: list[list[str]], k: Sequence[int]) -> dict[str, float]:
    """`pass@k` for each k."""
    estimates: dict[str, float] = _metric.compute(references=references, predictions=predictions, k=list(k))[
        0
    ]
    return estimates
