"""Outcomes: what a plan foretold of a run, beside what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nait.core.addresses import address
from nait.runs import records
from nait.stages.artifacts.stored_names import stored_names
from nait.store import Store, read_json

PLAN_VERSION = 1


def plan_file(store: Store, config: Mapping[str, Any], recipe: Any, *, scores: str) -> Path:
    """Where the plan of a job with these scores is kept."""
    key = {
        "plan": PLAN_VERSION, "scores": scores, "order": stored_names(config["order"]),
        "budget": stored_names(config["budget"]),
        "recipe": recipe, "seed": config["seed"], "eval": stored_names(config["eval"]),
    }  # fmt: skip
    return store.root / "plans" / f"{address(key)}.json"


def outcome(
    plan: Path, elapsed: Mapping[str, float], fresh: Mapping[str, bool]
) -> dict[str, Mapping[str, Any]] | None:
    """Predicted and true seconds of the phases whose results the plan, as this run, had to make; or had not.

    None where nobody planned the job. `fresh`: whether a phase's result was made, `elapsed` in how many seconds.
    """
    if not plan.is_file():
        return None
    phases = {
        phase["name"]: phase["seconds"]
        for phase in read_json(plan)["phases"]
        if phase["name"] in elapsed and bool(phase["stored"]) != fresh.get(phase["name"])
    }
    known = {name: seconds for name, seconds in phases.items() if seconds is not None}
    return {
        "predicted": {**dict.fromkeys(phases), **records.rounded(known)},
        "seconds": records.rounded({name: elapsed[name] for name in phases}),
    }
