"""Accuracy of plans: predicted and actual seconds of each phase."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.runs.records.phases import Phases, rounded
from nait.runs.records.recorded_config import RecordedConfig
from nait.store import Store, read_json

PLAN_VERSION = 1


def plan_file(store: Store, recorded: RecordedConfig, recipe: Any, *, scores: str) -> Path:
    """Path in the store of the plan of a job with these scores."""
    key = {"plan": PLAN_VERSION, "scores": scores, "recipe": recipe, **recorded.plan_key()}
    return store.root / "plans" / f"{address(key)}.json"


def plan_accuracy(plan: Path, phases: Phases) -> dict[str, Any] | None:
    """Predicted and actual seconds by phase; None for a job without a plan.

    Phases are compared only where plan and run agree on whether the store had the result.
    """
    if not plan.is_file():
        return None
    compared = {
        one["name"]: one["seconds"]
        for one in read_json(plan)["phases"]
        if one["name"] in phases and bool(one["stored"]) != phases[one["name"]].fresh
    }
    predicted = {name: seconds for name, seconds in compared.items() if seconds is not None}
    return {
        "predicted": {**dict.fromkeys(compared), **rounded(predicted)},
        "seconds": rounded({name: phases[name].elapsed for name in compared}),
    }
