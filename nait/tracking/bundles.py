"""Bundles: the store's files that describe one run, named `<kind>/<address>/<file>`.

A bundle holds what a leaderboard and a report read: JSON and Parquet only. A folder of bundles is a store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nait.core.addresses import ADDRESS_CHARS
from nait.store import Store
from nait.store.last_use import USED

RECORD = "record"
"""The W&B artifact type of a bundle. The artifact's name ends in the run's address."""
PARTS: Mapping[str, str] = {
    "contamination": "contamination",
    "traits": "traits",
    "scores": "scores",
    "selections": "selection",
    "evaluations": "evaluation",
    "runs": "run",
}
"""Kind of artifact -> the name of the run's link to it. Runs come last: a stored run has all its artifacts."""
OMITTED = ("samples.parquet", USED)
"""Files that a bundle omits: an evaluation's prompts and responses, which no table reads, and the time of the last
use, which W&B's run has."""
PLACE = re.compile(rf"({'|'.join(PARTS)})/[0-9a-f]{{{ADDRESS_CHARS}}}/[a-z_]+\.(json|jsonl|parquet)")


def bundle(store: Store, links: Mapping[str, str | None]) -> dict[str, Path]:
    """Place in the bundle -> file, for every artifact that a run links to."""
    linked = [(kind, links[link]) for kind, link in PARTS.items() if links.get(link)]
    found = [artifact for kind, name in linked if (artifact := store.find(kind, str(name)))]
    placed = {
        f"{one.kind}/{one.address}/{file.name}": file for one in found for file in sorted(one.path.iterdir())
    }
    return {place: file for place, file in placed.items() if is_place(place) and file.name not in OMITTED}


def is_place(name: str) -> bool:
    """Whether `name` is a valid place in a bundle."""
    return PLACE.fullmatch(name) is not None
