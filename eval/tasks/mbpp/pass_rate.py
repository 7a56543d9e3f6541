"""pass@1 of MBPP by running programs. nait provides the metric `code_eval`."""

from __future__ import annotations

import evaluate

_metric = evaluate.load("code_eval")


def pass_at_1(references: list[str], predictions: list[str]) -> float:
    """The share of programs that pass their tests."""
    found: float = _metric.compute(references=references, predictions=[[one] for one in predictions], k=[1])[
        0
    ]["pass@1"]
    return found
