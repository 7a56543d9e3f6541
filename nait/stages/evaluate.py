"""Evaluate stage: typed results and per-item outcomes of an adapter or of the base model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.contracts import Evaluator, Model
from nait.stages.artifacts.evaluation_files import write_evaluation
from nait.store import Artifact, Store

VERSION = 1
ANSWERS = "answers-*.json"
"""Files in which an evaluator may keep answers, to resume an interrupted evaluation."""


def evaluate(model: Model, adapter: Artifact | None, *, evaluator: Evaluator, store: Store) -> Artifact:
    """The `evaluations` artifact, from the store if it is there. Without an adapter the base model is evaluated."""
    key = {
        "evaluation": VERSION,
        "model": model.fingerprint,
        "adapter": adapter.address if adapter else None,
        "precision": str(getattr(model, "dtype", "auto")),
        "suite": evaluator.key(),
    }

    def write(part: Path) -> Mapping[str, Any]:
        evaluation = evaluator.evaluate(model, adapter.path if adapter else None, folder=part)
        write_evaluation(part, evaluation)
        for kept in part.glob(ANSWERS):
            kept.unlink()
        return {
            **evaluation.earlier,
            "missing": list(evaluation.missing),
            "warnings": list(evaluation.warnings),
            "results": len(evaluation.results),
            "items": len(evaluation.items),
            **({"requested": dict(evaluation.requested)} if evaluation.requested else {}),
        }

    return store.produce("evaluations", key, write)
