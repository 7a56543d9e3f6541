"""The metric `code_eval` of the package `evaluate`, with programs run by `run_programs`.

Task files load the metric from the Hub (`evaluate.load("code_eval")`) when their functions are imported. While tasks
are built, `providing` gives them this one instead: the same call, the same results, without a download.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nait.eval.code_execution.pass_at_k import pass_at_k
from nait.eval.code_execution.programs import FULL, PASSED, TIMED_OUT, Limits, Outcome, run_programs

NAME = "code_eval"
VERSION = 2
"""Raise it when the same program gets another outcome, so that stored results are not used. Since 2, programs may use
`asyncio`."""

Details = dict[int, list[tuple[int, dict[str, Any]]]]
"""Item -> (number of the program, its outcome), as in `code_eval`."""


class CodeEval:
    """Runs programs with their tests and estimates pass@k. `outcomes`: of all programs so far."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def compute(
        self,
        predictions: Sequence[Sequence[str]],
        references: Sequence[str],
        k: Sequence[int] = (1, 10, 100),
        num_workers: int = 4,  # noqa: ARG002 - part of the metric's call; the number of processors decides
        timeout: float = Limits.seconds,
    ) -> tuple[dict[str, float], Details]:
        """pass@k, averaged over items, and the outcome of each program: `predictions[i][j]` before `references[i]`.

        Raises: ConfigError if an item has fewer programs than a k.
        """
        owners = [(item, j) for item, programs in enumerate(predictions) for j in range(len(programs))]
        texts = [f"{predictions[item][j]}\n{references[item]}" for item, j in owners]
        outcomes = run_programs(texts, Limits(seconds=math.ceil(timeout)))
        self.outcomes += outcomes
        details: Details = defaultdict(list)
        for (item, j), outcome in zip(owners, outcomes, strict=True):
            record = {
                "task_id": item, "passed": outcome.passed, "result": outcome.message, "completion_id": j,
            }  # fmt: skip
            details[item].append((j, record))
        return {f"pass@{n}": _mean_pass(details, len(predictions), n) for n in k}, dict(details)

    def summary(self) -> dict[str, Any]:
        """Counts of outcomes, the isolation that the system grants, and the limits; {} if no program was run."""
        if not self.outcomes:
            return {}
        kinds = Counter(
            outcome.message if outcome.message in (PASSED, TIMED_OUT) else "failed"
            for outcome in self.outcomes
        )
        return {
            "programs": len(self.outcomes),
            **{kind.replace(" ", "_"): kinds[kind] for kind in (PASSED, "failed", TIMED_OUT)},
            "isolation": "; ".join(sorted({outcome.isolation for outcome in self.outcomes})),
            "limits": asdict(Limits()),
        }


def code_warnings(summary: dict[str, Any]) -> list[str]:
    """A sentence if the system granted less than a full isolation of generated programs."""
    if not summary or summary["isolation"] == FULL:
        return []
    return [f"generated code ran with a weaker isolation than {FULL}: {summary['isolation']}"]


def code_settings() -> dict[str, Any]:
    """What decides the outcome of a program, for an evaluation's address."""
    return {"version": VERSION, **asdict(Limits())}


def _mean_pass(details: Details, items: int, k: int) -> float:
    counts = [[record["passed"] for _, record in details.get(item, ())] for item in range(items)]
    return math.fsum(pass_at_k(len(passed), sum(passed), k) for passed in counts) / items


@contextmanager
def providing(metric: CodeEval, files: Collection[Path]) -> Iterator[None]:
    """Context in which the modules `files` of task functions get `metric` as `code_eval`.

    The modules are imported again for this context, so that none holds another `code_eval`.
    """
    import evaluate

    load = evaluate.load

    def provided(path: str, *args: Any, **options: Any) -> Any:
        return metric if path == NAME else load(path, *args, **options)

    try:
        _forget(files)
        evaluate.load = provided
        yield
    finally:
        evaluate.load = load
        _forget(files)


def _forget(files: Collection[Path]) -> None:
    """Remove the modules of these files from Python's cache of imported modules."""
    places = {str(path.resolve()) for path in files}
    for name, module in list(sys.modules.items()):
        if getattr(module, "__file__", None) in places:
            del sys.modules[name]
