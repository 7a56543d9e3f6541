"""Bundles: the files of the store that tell a run elsewhere, each by its own place `<kind>/<address>/<file>`.

They are what a leaderboard and a report read, and JSON or Parquet alone. A folder with some runs' bundles is a store.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from nait.core.addresses import ADDRESS_CHARS
from nait.store import Store

RECORD = "record"
"""The type of a run's bundle in W&B; its name ends in the run's address."""
PARTS: Mapping[str, str] = {
    "contamination": "contamination",
    "traits": "traits",
    "scores": "scores",
    "selections": "selection",
    "evaluations": "evaluation",
    "runs": "run",
}
"""Kind -> the run's link to it. Runs last: one that is there has all it points at."""
LARGE = "samples.parquet"
"""An evaluation's prompts and responses, which no table reads."""
PLACE = re.compile(rf"({'|'.join(PARTS)})/[0-9a-f]{{{ADDRESS_CHARS}}}/[a-z_]+\.(json|jsonl|parquet)")


def bundle(store: Store, links: Mapping[str, str | None]) -> dict[str, Path]:
    """Place -> file, of the artifacts that a run links to."""
    linked = [(kind, links[link]) for kind, link in PARTS.items() if links.get(link)]
    found = [artifact for kind, name in linked if (artifact := store.find(kind, str(name)))]
    placed = {
        f"{one.kind}/{one.address}/{file.name}": file for one in found for file in sorted(one.path.iterdir())
    }
    return {place: file for place, file in placed.items() if is_place(place) and file.name != LARGE}


def is_place(name: str) -> bool:
    """Whether a name can be a file's place in a bundle."""
    return PLACE.fullmatch(name) is not None
