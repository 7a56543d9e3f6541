"""Openings: what was seen of a model when it was opened, kept for runs that find all its results in the store."""

from __future__ import annotations

from nait.core.contracts import Model
from nait.store import Store

VERSION = 1


def model_warnings(model: Model, store: Store) -> list[str]:
    """A warning about tensors that the network does not use, from this run's opening of it or an earlier one."""
    key = {"opening": VERSION, "model": model.fingerprint}
    said: str | None = getattr(model, "leftovers", None)
    if said is None:
        found = store.find("openings", key)
        said = str(found.manifest["leftovers"]) if found else ""
    else:
        store.produce("openings", key, lambda _: {"leftovers": said})
    return [f"Model {model.name}: {said}."] if said else []
