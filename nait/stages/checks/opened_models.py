"""Warnings from loading a model, stored for runs that load no model because the store has all results."""

from __future__ import annotations

from nait.core.contracts import Model
from nait.store import Store

VERSION = 1


def model_warnings(model: Model, store: Store) -> list[str]:
    """Warning about checkpoint tensors that the network does not use, from this run or an earlier one."""
    key = {"opening": VERSION, "model": model.fingerprint}
    leftovers: str | None = getattr(model, "leftovers", None)
    if leftovers is None:
        found = store.find("openings", key)
        leftovers = str(found.manifest["leftovers"]) if found else ""
    else:
        store.produce("openings", key, lambda _: {"leftovers": leftovers})
    return [f"Model {model.name}: {leftovers}."] if leftovers else []
