"""Names of methods in tables: the control, the references, and the method of a recorded run."""

from __future__ import annotations

from nait.store import Artifact

CONTROL = "random"
BASE = "base (not trained)"
FULL = "full"
TARGETLESS = (CONTROL, FULL, BASE)
"""Methods that do not depend on the target: one run is valid for every target."""
TILTED, SUBSET = "tilted_random", "subset"
"""Random subsets of varying composition, and the setting that numbers them. Together they measure other methods."""
SHUFFLED = "Shuffled"
"""The order that turns any selector into a random control, used in sweeps over a method's own keys."""


def is_shuffled(record: Artifact) -> bool:
    """Whether a run selected its rows at random, ignoring their scores. The full pool has no rows to choose."""
    settings = record.manifest.get("settings") or {}
    whole = FULL in (record.manifest["labels"]["selector"], str(settings.get("_target_", "")).lower())
    return bool(settings.get("order") == SHUFFLED) and not whole


def method_name(record: Artifact) -> str:
    """The selector's name or the user's label; `random` for an unlabelled run with a shuffled order."""
    named = is_shuffled(record) and not record.manifest.get("label")
    return CONTROL if named else str(record.manifest["labels"]["selector"])


def is_base(record: Artifact) -> bool:
    """Whether a run evaluated the untrained model."""
    return bool(record.manifest["links"].get("evaluation")) and not record.manifest["labels"]["trained"]


def name_of(record: Artifact) -> str:
    """The method's name, or `BASE` for the untrained model."""
    return BASE if is_base(record) else method_name(record)
